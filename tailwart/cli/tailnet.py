"""`tailwart tailnet`: the policy without the rest of the deploy. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click

_json = click.option("--json", "as_json", is_flag=True, help="A JSON document instead of text.")
_diff = click.option("--diff/--no-diff", default=True, show_default=True, help="Show the unified diff of the file.")
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")

_unmarked = click.option(
    "--unmarked", is_flag=True, help="With --remove: also what looks like a managed entry and has lost its mark."
)


_file = click.option(
    "--file",
    metavar="PATH",
    help="A policy kept in a repository, instead of the live one: no API is asked. `-`: standard input.",
)
_annotate = click.option(
    "--annotate", is_flag=True, help="Write `::error file=,line=::` lines for a pull request; in GitHub Actions always."
)


@click.group()
def tailnet() -> None:
    """The tailnet policy: plan, apply, test, restore, matrix.

    The managed entries are merged into the live file and known by a mark; everything else in it keeps every byte.
    """


@tailnet.command()
@_json
@_diff
@click.option("--remove", is_flag=True, help="Plan the removal of all managed entries.")
@_unmarked
@_file
@_annotate
@click.option("--exit-code", is_flag=True, help="Exit with 2 when there is something to change.")
def plan(
    *, as_json: bool, diff: bool, remove: bool, unmarked: bool, file: str | None, annotate: bool, exit_code: bool
) -> None:
    """Show what `apply` would write. The server validates it; nothing is changed."""
    from tailwart.cli.commands import tailnet as commands

    source = commands.Source(file, annotate, remove=remove, unmarked=unmarked)
    commands.plan(source, as_json=as_json, diff=diff, exit_code=exit_code)


@tailnet.command()
@_yes
@_json
@_diff
@click.option("--remove", is_flag=True, help="Take all managed entries out of the file, before giving the system up.")
@_unmarked
@_file
@_annotate
def apply(
    *, yes: bool, as_json: bool, diff: bool, remove: bool, unmarked: bool, file: str | None, annotate: bool
) -> None:
    """Write the managed entries into the live file; a snapshot of it goes to _backup/tailnet/ first.

    With --file, into that file. With `--file -`, from standard input to standard output.
    """
    from tailwart.cli.commands import tailnet as commands

    source = commands.Source(file, annotate, remove=remove, unmarked=unmarked)
    commands.apply(source, yes=yes, as_json=as_json, diff=diff)


@tailnet.command()
@_json
def test(as_json: bool) -> None:
    """Verify the live policy: managed entries, tests, wide rules, keys. Exits with 1 for any problem."""
    from tailwart.cli.commands import tailnet as commands

    commands.test(as_json=as_json)


@tailnet.command()
@click.argument("snapshot", required=False)
@_yes
def restore(snapshot: str | None, yes: bool) -> None:
    """Put a snapshot of the file back: a name from the list, its beginning, a path, or `latest`.

    Without a name: list the snapshots. Every edit since the snapshot is undone, whoever made it; the diff shows them.
    """
    from tailwart.cli.commands import tailnet as commands

    commands.restore(snapshot, yes=yes)


@tailnet.command()
@_json
def matrix(as_json: bool) -> None:
    """Measure who reaches whom, over SSH on every node, and compare it with the live policy.

    Exits with 1 when they differ.
    """
    from tailwart.cli.commands import tailnet as commands

    commands.matrix(as_json=as_json)
