"""`tailwart doctor`: is everything as it must be? Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--only", multiple=True, metavar="PLANE|ID", help="Only this plane or check; may be repeated.")
@click.option("--deep", is_flag=True, help="What is slow or seen by others as well: logins, outbound ports, relaying.")
@click.option(
    "--public", is_flag=True, help="Only what a stranger sees, from this machine; run it outside the tailnet."
)
@click.option(
    "--resolver", multiple=True, metavar="ADDRESS", help="With --public: resolvers in place of three public ones."
)
@click.option(
    "--message",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Only SPF, DKIM and DMARC of a message of yours, as its receiver has it (- for standard input).",
)
@click.option("--list", "listing", is_flag=True, help="List the checks and look at nothing.")
@click.option("--all", "everything", is_flag=True, help="List what passed as well.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the status page to this file.")
@click.option("--publish", is_flag=True, help="Put the page on the mailbox host, which serves it (STATUS_PAGE=on).")
@click.option(
    "--prometheus",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the results for node_exporter's textfile collector.",
)
def doctor(
    only: tuple[str, ...],
    *,
    deep: bool,
    public: bool,
    resolver: tuple[str, ...],
    message: Path | None,
    listing: bool,
    everything: bool,
    as_json: bool,
    html: Path | None,
    publish: bool,
    prometheus: Path | None,
) -> None:
    """Look at hosts, server, tailnet and zone at once; changes nothing.

    \b
      tailwart doctor
      tailwart doctor --deep
      tailwart doctor --public
      tailwart doctor --message received.eml
      tailwart doctor --only edge --only server.queue
      tailwart doctor --html status.html
      tailwart doctor --publish

    Exit code 0: all is well; 1: something required is wrong; 2: something required could not be looked at.
    Planes: mailbox, server, backends, edge, tailnet, zone.
    """
    from tailwart.cli.commands import doctor as commands

    if listing:
        commands.show_catalogue(as_json=as_json)
        return
    if message is not None:
        if deep or public or resolver or html or publish or prometheus:
            raise click.UsageError("--message goes with --only and --json")
        commands.look_at_message(message, only, as_json=as_json)
        return
    if public:
        if deep or html or publish or prometheus or everything:
            raise click.UsageError("--public goes with --only, --resolver and --json")
        commands.look_from_outside(only, resolver, as_json=as_json)
        return
    if resolver:
        raise click.UsageError("--resolver goes with --public")
    commands.look(
        only, deep=deep, everything=everything, as_json=as_json, html=html, publish=publish, prometheus=prometheus
    )
