"""`tailwart settings`: Stalwart's settings alone. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def settings() -> None:
    """Stalwart's settings: plan, apply, export.

    The desired state is what .env and group_data/mailbox.py declare. The server is reached through the mailbox host's
    SSH, so this machine need not be on the tailnet.

    \b
      tailwart settings plan          what differs; changes nothing
      tailwart settings apply         make the server as declared
      tailwart settings export -o x   what the server holds, without secrets
      tailwart settings compat        whether the running release takes what is declared
      tailwart settings restart       a restart that delays no mail
      tailwart settings rotate-dkim   a new DKIM key before its time

    Signs of a plan: + create, ~ update, - delete, ! warning. Objects listed as unmanaged are not declared, and stay as
    they are.
    """


@settings.command()
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("--exit-code", is_flag=True, help="Exit with 2 when there is something to change.")
@click.option("--unmanaged", is_flag=True, help="Name every object that is not declared.")
def plan(as_json: bool, exit_code: bool, unmanaged: bool) -> None:
    """Show what `apply` would do. Nothing is changed.

    Accounts and domains that are not declared are counted, not read; --unmanaged reads and names them.

    The last line names the next step. A plan ends with its post-apply action: reload, restart, or nothing.
    """
    from tailwart.cli.commands import settings as commands

    commands.plan(as_json=as_json, exit_code=exit_code, unmanaged=unmanaged)


@settings.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def apply(yes: bool, as_json: bool) -> None:
    """Make the server as declared.

    Shows the plan, asks, writes, and verifies. Stalwart is restarted only when a listener, its PROXY trust or a route
    changed. Interrupted anywhere, run it again: it continues.
    """
    from tailwart.cli.commands import settings as commands

    commands.apply(yes=yes, as_json=as_json)


@settings.command()
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file (mode 0600).")
def export(output: Path | None) -> None:
    """Write what the server holds, for `stalwart-cli apply`.

    The format is the plan of Stalwart's own client (NDJSON). Secrets are references to environment variables; passwords
    are skipped. Order and names do not depend on ids, so two exports can be compared with diff.
    """
    from tailwart.cli.commands import settings as commands

    commands.export(output)


@settings.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def compat(as_json: bool) -> None:
    """Check everything declared against the server's own schema.

    For a release that this deploy has not seen: names each object and field that the running server would refuse, with
    the type that it takes and what would be written. Nothing is changed. Exits with 1 when something does not fit. The
    deploy and `apply` make the same check before their first write.
    """
    from tailwart.cli.commands import settings as commands

    commands.compat(as_json=as_json)


@settings.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def restart(yes: bool) -> None:
    """Restart Stalwart without delaying mail.

    Pauses the queue, waits up to 30 seconds for what is being delivered, restarts, and resumes. Messages that a crash
    left locked are released: they are delivered at once instead of after ten minutes.
    """
    from tailwart.cli.commands import settings as commands

    commands.restart(yes=yes)


@settings.command("rotate-dkim")
@click.argument("domain", required=False)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def rotate_dkim(domain: str | None, yes: bool) -> None:
    """Give a domain a new DKIM key now.

    Without DOMAIN, the one of .env. The server rotates by itself every 90 days; this is for a key that has leaked. The
    old key stays published for seven days. Refused for a domain with a key of today: both would have one name.
    """
    from tailwart.cli.commands import settings as commands

    commands.rotate_dkim(domain, yes=yes)
