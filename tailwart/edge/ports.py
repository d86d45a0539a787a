"""The edge's ports are free: asked before anything is changed on the host."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Generator
from functools import partial

from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host

from tailwart.edge import listeners, webservers
from tailwart.edge.listeners import Listener
from tailwart.edge.plan import NOTHING, EdgePlan, in_the_way
from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.report import HostReport
from tailwart.network import HTTPS
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import HostRunner, command, gather
from tailwart.runner import Runner


@operation()
def free_ports(plan: EdgePlan, disable: Collection[str], https_key: str) -> Generator[FunctionCommand, None, None]:
    """Nobody else listens on a port of this edge; the services that ``disable`` names are stopped where they do.

    ``https_key`` is the key of `.env` that takes :443 away from this edge.
    """
    host = ctx_host.get()
    report = observe(host, plan.project.watch)
    given_back = report.probes.get("web-path", NOTHING).output.decode(errors="replace").strip()
    if given_back and not plan.caddyfile and plan.routes.https:
        raise TailwartError(
            f"{given_back} is no longer shared, so its web server gets :443 back, which this edge would own as well",
            seen=f"no …_WEB, and {https_key} is not false",
            expected="one owner of :443",
            remedy=f"set {https_key}=false in .env; once the web server is gone from that host, take it out again",
        )
    taken = _taken(plan, report)
    if not taken:
        host.noop("the edge's ports are free, or its own")
        return
    services = listeners.services(taken)
    if not services or not set(services) <= set(disable):
        web = any(item.process in webservers.PROGRAMS for item in taken)
        raise listeners.refusal(taken, https_key, HostRunner(host)(webservers.WHERE).stdout if web else "")
    announce(host, f"EDGE_DISABLE: {', '.join(services)}")
    yield command(host, partial(stop, plan=plan, services=services), f"stop and disable {', '.join(services)}")


def stop(run: Runner, plan: EdgePlan, services: Collection[str]) -> None:
    """Stop and disable the services; raises `TailwartError` when a port is still held afterwards."""
    result = run(f"systemctl disable --now {shlex.join(services)} 2>&1", timeout=120)
    if left := _taken(plan, gather(run, plan.project.watch)):
        problem = listeners.refusal(left)
        raise TailwartError(
            f"{', '.join(services)} is disabled, and a port of the edge is still taken",
            seen="\n".join([problem.seen, *result.stdout.strip().splitlines()[-3:]]),
            expected=problem.expected,
            remedy=problem.remedy,
        )


def _taken(plan: EdgePlan, report: HostReport) -> tuple[Listener, ...]:
    # The web server that shares :443 has it until it is moved aside, which comes later.
    moves = {HTTPS.port} if plan.caddyfile else set()
    return tuple(item for item in in_the_way(plan, report) if item.port not in moves)
