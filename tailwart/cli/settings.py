"""`tailwart settings`: Stalwart's settings without the rest of the deploy."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import click

from tailwart.environment import load
from tailwart.errors import TailwartError
from tailwart.plan import render, to_json
from tailwart.stalwart.lifecycle.server import Observed
from tailwart.stalwart.mailbox_host import declared, mailbox_host, server
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.settings.export import plan_lines


@click.group()
def settings() -> None:
    """Stalwart's settings: plan, apply, export.

    The declared state comes from .env and group_data/mailbox.py; the server is reached over the mailbox host's SSH.
    """


@settings.command()
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("--exit-code", is_flag=True, help="Exit with 2 when there is something to change.")
def plan(as_json: bool, exit_code: bool) -> None:
    """Show what `apply` would do. Nothing is changed."""
    environment = load().environment
    desired = declared(environment)
    with mailbox_host(environment) as run:
        seen = server(run, environment, desired, click.echo).observe()
    _show(seen, as_json)
    if not as_json:
        click.echo(_next(seen))
    if exit_code and not seen.up_to_date:
        sys.exit(2)


@settings.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def apply(yes: bool, as_json: bool) -> None:
    """Make the server as declared; restarts it only when a listener, its trust or a route changed."""
    environment = load().environment
    desired = declared(environment)
    with mailbox_host(environment) as run:
        plane = server(run, environment, desired, lambda text: click.echo(text, err=True))
        seen = plane.observe()
        _show(seen, as_json)
        if seen.up_to_date:
            return
        if seen.live is None or not seen.state.initialised:
            raise TailwartError(
                "this server has not been set up yet",
                seen="no running, initialised Stalwart on the mailbox host",
                remedy="pyinfra inventory.py deploy.py --limit mailbox",
            )
        if not yes:
            click.confirm("Apply?", abort=True, err=True)
        plane.apply(seen)
    click.echo("Applied. Next: tailwart settings plan, which now shows no changes.", err=True)


@settings.command()
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file (mode 0600).")
def export(output: Path | None) -> None:
    """Write the live state as a plan of Stalwart's own client (NDJSON, for `stalwart-cli apply`).

    Secrets are references to environment variables; passwords are left out.
    """
    environment = load().environment
    desired = declared(environment)
    with mailbox_host(environment) as run:
        live = server(run, environment, desired, click.echo).observe().live
    if live is None:
        raise TailwartError(
            "there is no running server to export", remedy="pyinfra inventory.py deploy.py --limit mailbox"
        )
    text = "".join(f"{line}\n" for line in plan_lines(live))
    if output is None:
        click.echo(text, nl=False)
        return
    output.touch(mode=0o600)
    output.write_text(text, encoding="utf-8")
    click.echo(
        f"{output}: {text.count(chr(10))} operations. Next: compare two exports with diff, or stalwart-cli apply."
    )


def _show(seen: Observed, as_json: bool) -> None:
    document = seen.planned.document(seen.live or Live({}))
    told = tuple(text for item in seen.certificates if (text := item.message()))
    document = replace(document, warnings=(*document.warnings, *told))
    click.echo(json.dumps(to_json(document), indent=2) if as_json else render(document, colour=sys.stdout.isatty()))


def _next(seen: Observed) -> str:
    if seen.up_to_date:
        return "Nothing to do."
    if seen.live is None or not seen.state.initialised:
        return "This server is not set up yet. Next: pyinfra inventory.py deploy.py --limit mailbox"
    if seen.state.restart_since:
        return "A restart from an earlier run is still due. Next: tailwart settings apply"
    return "Next: tailwart settings apply"
