"""The commands of `tailwart settings`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import click

from tailwart.environment import load
from tailwart.errors import TailwartError
from tailwart.plan import render, to_json
from tailwart.printing import say
from tailwart.releases import DEFAULT_IMAGE
from tailwart.stalwart.lifecycle import dkim_rotation
from tailwart.stalwart.lifecycle.assembly import server
from tailwart.stalwart.lifecycle.server import Observed
from tailwart.stalwart.mailbox_host import declared, mailbox_host
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.protocol.kinds import KINDS
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.settings.export import plan_lines


def plan(*, as_json: bool, exit_code: bool, unmanaged: bool) -> None:
    """Print the plan and the next step; nothing is changed."""
    environment = load().environment
    desired = declared(environment)
    with mailbox_host(environment) as run:
        observed = server(run, run.host, environment, desired, say).observe(everything=unmanaged)
    _show(observed, as_json)
    if not as_json:
        say(_next(observed))
    if exit_code and not observed.up_to_date:
        sys.exit(2)


def apply(*, yes: bool, as_json: bool) -> None:
    """Print the plan, ask, and apply it. Raises TailwartError for a server that was never initialised."""
    environment = load().environment
    desired = declared(environment)
    with mailbox_host(environment, changes=True) as run:
        plane = server(run, run.host, environment, desired, lambda text: say(text, err=True))
        observed = plane.observe()
        _show(observed, as_json)
        if observed.up_to_date:
            return
        if observed.live is None or not observed.host.initialised:
            raise TailwartError(
                "this server is not set up yet",
                seen="no running, initialised Stalwart on the mailbox host",
                expected="a server that the deploy has started once",
                remedy="pyinfra inventory.py deploy.py --limit mailbox",
            )
        if not yes:
            click.confirm("Apply?", abort=True, err=True)
        plane.apply(observed)
    say("Applied. Next: tailwart settings plan, which now shows no changes.", err=True)


def export(output: Path | None) -> None:
    """Print what the server holds, or write it to a file of mode 0600."""
    environment = load().environment
    desired = declared(environment)
    with mailbox_host(environment) as run:
        live = server(run, run.host, environment, desired, say).observe(everything=True).live
    if live is None:
        raise no_server("to export")
    text = "".join(f"{line}\n" for line in plan_lines(live))
    if output is None:
        say(text, nl=False)
        return
    output.touch(mode=0o600)
    output.chmod(0o600)  # also when the file was there before
    output.write_text(text, encoding="utf-8")
    say(f"{output}: {text.count(chr(10))} operations. Next: compare two exports with diff, or stalwart-cli apply.")


def compat(*, as_json: bool) -> None:
    """Print what the running server would refuse of everything declared; exits with 1 when that is something."""
    environment = load().environment
    desired = declared(environment)
    with mailbox_host(environment) as run:
        plane = server(run, run.host, environment, desired, lambda text: say(text, err=True))
        observed = plane.observe()
        if observed.live is None:
            raise no_server("to check")
        running, schema, found = plane.check(observed)
    if as_json:
        mismatches = [
            {
                "kind": item.ref.kind,
                "key": item.ref.key,
                "field": item.problem.path,
                "rule": item.problem.rule.value,
                "expected": item.problem.expected,
                "written": item.problem.given,
            }
            for item in found
        ]
        say(json.dumps({"version": running, "schema": schema.digest, "mismatches": mismatches}, indent=2))
    else:
        for item in found:
            say(f"! {item.message()}")
        say(
            f"Stalwart {running} refuses {len(found)} of the declared fields. Next: set STALWART_IMAGE to "
            f"{DEFAULT_IMAGE}, the newest release that was tested."
            if found
            else f"Stalwart {running} takes everything that is declared. Next: tailwart settings plan"
        )
    if found:
        sys.exit(1)


def restart(*, yes: bool) -> None:
    """Ask, and restart the server with its queue held."""
    environment = load().environment
    desired = declared(environment)
    with mailbox_host(environment) as run:
        plane = server(run, run.host, environment, desired, lambda text: say(text, err=True))
        if plane.observe().live is None:
            raise no_server("to restart")
        if not yes:
            click.confirm("Restart Stalwart? Clients reconnect; mail waits some seconds.", abort=True, err=True)
        plane.restart()
    say("Restarted. Next: tailwart settings plan")


def rotate_dkim(domain: str | None, *, yes: bool) -> None:
    """Ask, and order a new DKIM key; the records follow by the server itself or by the dns role."""
    environment = load().environment
    with mailbox_host(environment) as run:
        client = Client(ContainerTransport(run, stored_login()))
        live = client.read([KINDS[kind].read() for kind in ("Domain", "DkimSignature")])
        rotation = dkim_rotation.planned(live, domain or environment.domain)
        say(rotation.describe())
        if not yes:
            click.confirm("Order a new key?", abort=True, err=True)
        dkim_rotation.order(client, rotation, live)
    # The new key signs at once: receivers must find it soon.
    say(
        "Ordered: the server publishes the new record itself. Next: tailwart dns check"
        if declared(environment).acme
        else "Ordered. The new key signs at once, so publish it now. Next: tailwart dns apply"
    )


def no_server(purpose: str) -> TailwartError:
    return TailwartError(
        f"there is no running server {purpose}",
        seen="the container `stalwart` is not running on the mailbox host",
        remedy="pyinfra inventory.py deploy.py --limit mailbox",
    )


def _show(observed: Observed, as_json: bool) -> None:
    document = observed.planned.document(observed.live or Live({}))
    certificates = tuple(text for item in observed.certificates if (text := item.message()))
    document = replace(document, warnings=(*document.warnings, *certificates))
    say(json.dumps(to_json(document), indent=2) if as_json else render(document, colour=sys.stdout.isatty()))


def _next(observed: Observed) -> str:
    if observed.up_to_date:
        return "Up to date. Nothing to do."
    if observed.live is None or not observed.host.initialised:
        return "This server is not set up yet. Next: pyinfra inventory.py deploy.py --limit mailbox"
    if observed.host.restart_since:
        return "A restart from an earlier run is still due. Next: tailwart settings apply"
    return "Next: tailwart settings apply"
