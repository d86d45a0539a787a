"""`tailwart settings`: Stalwart's settings alone. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

from pathlib import Path

import click


def _kinds(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from tailwart.cli.commands import objects

    return [name for name in objects.completions(incomplete) if "." not in name]


def _fields(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from tailwart.cli.commands import objects

    return objects.completions(incomplete)


@click.group()
def settings() -> None:
    """Stalwart's settings: plan, apply, export, describe.

    The desired state is what .env and group_data/mailbox.py declare. The server is reached through the mailbox host's
    SSH, so this machine need not be on the tailnet.

    \b
      tailwart settings plan          what differs; changes nothing
      tailwart settings apply         make the server as declared
      tailwart settings export -o x   what the server holds, without secrets
      tailwart settings compat        whether the running release takes what is declared
      tailwart settings describe      every kind of object of the server, and its fields
      tailwart settings import FILE   a plan of stalwart-cli as stalwart_objects
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
@click.option("--all", "everything", is_flag=True, help="Every kind, as stalwart_objects for group_data/mailbox.py.")
@click.option(
    "--kind", "only", multiple=True, shell_complete=_kinds, help="With --all: this kind alone; may be repeated."
)
def export(output: Path | None, everything: bool, only: tuple[str, ...]) -> None:
    """Write what the server holds, for `stalwart-cli apply`.

    The format is the plan of Stalwart's own client (NDJSON). Secrets are references to environment variables; passwords
    are skipped. Order and names do not depend on ids, so two exports can be compared with diff.

    With --all it is what you would write into group_data/mailbox.py as stalwart_objects: everything that differs from
    the server's defaults and that no setting of this project manages. A server that was set up by clicks becomes code
    that way, and a plan with it changes nothing. Secrets stay as they are; remarks name the .env key to use for each.
    """
    if everything or only:
        from tailwart.cli.commands import objects

        objects.export(output, only)
        return
    from tailwart.cli.commands import settings as commands

    commands.export(output)


@settings.command()
@click.argument("what", metavar="[KIND[.FIELD]]", required=False, default="", shell_complete=_fields)
@click.option("--refresh", is_flag=True, help="Ask the running server, also when its schema is here already.")
@click.option("--json", "as_json", is_flag=True, help="Print the description as JSON.")
def describe(what: str, refresh: bool, as_json: bool) -> None:
    """Show the kinds of objects of the server, the fields of one, or one field.

    \b
      tailwart settings describe                      every kind
      tailwart settings describe MtaInboundThrottle   its fields: type, default, what a change brings about
      tailwart settings describe WebHook.events       one field, with all its values

    From the schema that the server publishes; the one seen last is kept here, so that no server need be asked.
    """
    from tailwart.cli.commands import objects

    objects.describe(what, refresh=refresh, as_json=as_json)


@settings.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file (mode 0600).")
def import_(file: Path, output: Path | None) -> None:
    """Show what a plan of stalwart-cli becomes as stalwart_objects.

    FILE is NDJSON as `stalwart-cli snapshot` writes it: one operation a line. Nothing is sent to the server. Secrets of
    the plan are not printed: each becomes a reference to a key of .env, which remarks name.
    """
    from tailwart.cli.commands import objects

    objects.import_(file, output)


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
