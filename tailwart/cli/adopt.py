"""`tailwart adopt`. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.command()
@click.option("--mailbox", metavar="USER@HOST", help="The host where Stalwart runs; kept in .env as MAILBOX_SSH.")
@click.option("--edge", "edges", multiple=True, metavar="USER@HOST", help="An edge host; may be given several times.")
@click.option("--dry", is_flag=True, help="Look, write .env and show the plan; hand nothing over.")
@click.option("--back", is_flag=True, help="The old project serves again, with everything that has come in since.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def adopt(mailbox: str | None, edges: tuple[str, ...], dry: bool, back: bool, yes: bool) -> None:
    """Take over an installation made by hand: same node, same store, same certificates.

    It looks at the hosts and changes nothing there, writes the .env that describes what it finds (a key that is there
    already stays), shows the plan of all planes, and asks. Then it hands over, with some seconds of pause. The old
    project is stopped and kept: --back starts it again.

    Interrupted anywhere, run it again: it goes on. docs/adopt.md
    """
    from tailwart.cli.commands import adopt as commands

    if back:
        commands.back(yes=yes)
    else:
        commands.adopt(mailbox, edges, dry=dry, yes=yes)
