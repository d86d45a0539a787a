"""`tailwart dns`: the zones of all mail domains. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

from pathlib import Path

import click

_json = click.option("--json", "as_json", is_flag=True, help="A JSON document instead of text.")
_zone = click.option("--zone", metavar="DOMAIN", help="Only this mail domain; all of them without.")
_yes = click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
_allow = click.option(
    "--allow-deletions", is_flag=True, help="Allow a plan that deletes more than 30 % of the managed records."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def dns() -> None:
    """The zones of all mail domains at the DNS provider (DNS_PROVIDER).

    Records come from the mail server itself, from the edges' addresses and from group_data/dns.py; whatever else is in
    a zone stays. Start with `tailwart dns plan`.
    """


@dns.command()
@_zone
@click.option("--markdown", is_flag=True, help="A table for pull requests and mails instead of text.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Keep the plan for apply.")
@_allow
@_json
def plan(zone: str | None, markdown: bool, out: Path | None, allow_deletions: bool, as_json: bool) -> None:
    """Show what `apply` would write. Changes nothing.

    With --out the plan is kept, and `tailwart dns apply FILE` writes exactly it, or nothing if the zone has moved.
    """
    from tailwart.cli.commands import dns as commands

    commands.plan(zone, markdown=markdown, out=out, allow_deletions=allow_deletions, as_json=as_json)


@dns.command()
@click.argument("saved", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[FILE]")
@_zone
@_allow
@_yes
@_json
def apply(saved: Path | None, zone: str | None, allow_deletions: bool, yes: bool, as_json: bool) -> None:
    """Write the plan: snapshot, put the new, delete the old, read back, ask the authoritative servers.

    FILE is a plan that `tailwart dns plan --out FILE` kept. It is refused when a record of the zone is another by now.
    """
    from tailwart.cli.commands import dns as commands

    commands.apply(saved, zone, allow_deletions=allow_deletions, yes=yes, as_json=as_json)


@dns.command()
@_zone
@click.option(
    "--text",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="What `tailwart dns zonefile --raw` printed: the mail server's own records, not known here without it.",
)
@_json
def lint(zone: str | None, text: Path | None, as_json: bool) -> None:
    """Look for mistakes in .env, group_data/dns.py and the records that follow from them, without any network.

    For a hook before a commit, or CI. Ends with 1 when something would be refused or lose mail.
    """
    from tailwart.cli.commands import dns as commands

    commands.lint(zone, text, as_json=as_json)


@dns.command()
@_zone
@click.option("--resolver", "resolvers", multiple=True, metavar="ADDRESS[:PORT]", help="Resolver to ask; repeatable.")
@click.option("--parent", "parents", multiple=True, metavar="ADDRESS[:PORT]", help="Name server of the zone above.")
@click.option("--blocklists", is_flag=True, help="Ask DNS blocklists about your addresses; their terms bind you.")
@click.option("--blocklist", "lists", multiple=True, metavar="ZONE", help="Ask only this blocklist; repeatable.")
@click.option(
    "--wait",
    type=click.IntRange(1, 3600),
    is_flag=False,
    flag_value=300,
    metavar="[SECONDS]",
    help="First wait until the change is seen everywhere, so long at most (300).",
)
@_json
def check(
    zone: str | None,
    *,
    resolvers: tuple[str, ...],
    parents: tuple[str, ...],
    blocklists: bool,
    lists: tuple[str, ...],
    wait: int | None,
    as_json: bool,
) -> None:
    """Verify what the world sees: delegation, records, DNSSEC, CAA, reverse names, MTA-STS, DKIM, DANE, certificates.

    Asks the authoritative servers themselves, the zone above, and the given (else well-known public) resolvers.
    Ends with 0 when all is fine, with 1 when something required is wrong, with 2 when nothing is known to be wrong
    but something required could not be looked at. What is only recommended fails nothing.
    """
    from tailwart.cli.commands import dns_check

    dns_check.check(
        zone, resolvers, parents, dns_check.chosen_blocklists(lists, every=blocklists), wait=wait, as_json=as_json
    )


@dns.command()
@_zone
@click.option("--list", "only_list", is_flag=True, help="Name the snapshots there are; take none.")
@_json
def snapshot(zone: str | None, only_list: bool, as_json: bool) -> None:
    """Keep a copy of each zone as it is now, in _backup/dns/ (readable by you only)."""
    from tailwart.cli.commands import dns as commands

    commands.snapshot(zone, only_list=only_list, as_json=as_json)


@dns.command(name="restore")
@click.argument("which", required=False, metavar="[SNAPSHOT]")
@click.option("--dry", is_flag=True, help="Show what would be written, and write nothing.")
@_zone
@_allow
@_yes
@_json
def restore_command(
    which: str | None, zone: str | None, *, dry: bool, allow_deletions: bool, yes: bool, as_json: bool
) -> None:
    """Bring a zone back to a snapshot (file name or path; the newest without one).

    Exactly what the snapshot holds comes back, the mail server may be down, and what this tool published since goes.
    Foreign records that came later stay. The next deploy publishes again what the mail server recommends: change that
    first if it was the reason.
    """
    from tailwart.cli.commands import dns as commands

    commands.restore(which, zone, dry=dry, allow_deletions=allow_deletions, yes=yes, as_json=as_json)


@dns.command(name="zonefile")
@_zone
@click.option("--live", is_flag=True, help="The zone as the provider holds it, foreign records included.")
@click.option("--raw", is_flag=True, help="The mail server's own text, before edges, SPF terms and overrides.")
def zonefile_command(zone: str | None, live: bool, raw: bool) -> None:
    """Print the desired records as BIND zone text, for any provider that this tool does not know."""
    from tailwart.cli.commands import dns as commands

    commands.zonefile(zone, live=live, raw=raw)


@dns.command()
@click.argument("old", required=False)
@click.argument("new", required=False)
@_zone
@_json
def diff(old: str | None, new: str | None, zone: str | None, as_json: bool) -> None:
    """Compare a snapshot (the newest without one) with the zone now, or with another snapshot.

    Ends with 1 when they differ.
    """
    from tailwart.cli.commands import dns as commands

    commands.diff(old, new, zone, as_json=as_json)


@dns.command()
@_zone
@click.option("--flatten", is_flag=True, help="Print the settings that replace includes by the networks behind them.")
@_json
def spf(zone: str | None, flatten: bool, as_json: bool) -> None:
    """Count what each domain's SPF costs a receiver: look-ups and void look-ups, nested includes counted.

    The record is the one that `apply` would publish, the owner's terms in the zone included. Changes nothing; what
    `--flatten` prints is for you to paste. Ends with 1 when receivers would refuse the record.
    """
    from tailwart.cli.commands import dns_spf as commands

    commands.show(zone, flatten=flatten, as_json=as_json)
