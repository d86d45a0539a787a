"""The operation for bucket, key and grant, and the one that brings up our own Garage."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from tailwart.backends import garage_admin, garage_upgrade
from tailwart.backends.addresses import own_addresses
from tailwart.backends.garage_admin import Answer, Change, Desired
from tailwart.backends.garage_server import ADMIN_TOKEN, GarageServer
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.facts import ahead
from tailwart.facts.host import observe
from tailwart.hosts.files import pending
from tailwart.hosts.project import drift
from tailwart.hosts.watch import Watch
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import HostRunner, command, gather
from tailwart.runner import Runner

# The token's line is put in by the shell itself, so that no process has it among its arguments.
_ASK = (
    "command -v curl >/dev/null || { echo 'no curl on this host' >&2; exit 3; }; @TOKEN@; "
    'while IFS= read -r line; do if [ "$line" = \'' + garage_admin.TOKEN_LINE + "' ]; then "
    'printf \'header = "Authorization: Bearer %s"\\n\' "$token"; else printf \'%s\\n\' "$line"; fi; done | curl -K -'
)


@dataclass(frozen=True, slots=True)
class AdminApi:
    """Where the admin API is, as the backends host sees it; an empty ``token`` is our own Garage's, kept there."""

    url: str
    token: str = field(default="", repr=False)

    def ask(self, run: Runner, *paths: str, body: Mapping[str, Any] | None = None) -> list[Answer]:
        """The answers to GET each path, or to POST ``body``; raises `TailwartError` without curl."""
        token = "IFS= read -r token" if self.token else f"token=$(cat {shlex.quote(ADMIN_TOKEN)} 2>/dev/null || :)"
        text = garage_admin.config(self.url, paths, body)
        stdin = f"{self.token}\n{text}" if self.token else text
        result = run(_ASK.replace("@TOKEN@", token), stdin=stdin, timeout=120)
        if not result.ok and "no curl" in result.stderr:
            raise TailwartError(
                "the backends host has no curl, with which Garage's admin API is asked",
                expected="the command curl",
                remedy="`apt-get install curl` on the host, or leave GARAGE_ADMIN_TOKEN empty",
            )
        found = garage_admin.answers(result.stdout)
        return found + [Answer(0, {})] * (len(paths) - len(found))


def api_of(environment: Environment) -> AdminApi:
    """The admin API of the Garage that the deploy has installed, or of the one that GARAGE_ADMIN_URL names."""
    if "garage" in environment.backends_install:
        return AdminApi("http://127.0.0.1:3903")
    token = environment.garage_admin_token
    return AdminApi(str(environment.garage_admin_url), token.get_secret_value() if token else "")


@operation()
def serve(server: GarageServer, watch: Watch) -> Generator[FunctionCommand, None, None]:
    """Our own Garage runs, is healthy, and listens on loopback and the tailnet."""
    host = ctx_host.get()
    report = observe(host, watch)
    try:
        project = server.project(own_addresses(report))
        changed, made = pending(report, project.files, project.directories)
        paths = [item.path for item in made] + [item.path for item in changed]
        reasons = [f"{path} changes" for path in paths] or drift(project, report)
    except TailwartError as problem:
        reasons = [problem.what]
    if not reasons:
        host.noop("Garage is up to date")
        return
    announce(host, f"Garage: {'; '.join(reasons)}")
    yield command(host, partial(_serve, server=server), "bring up Garage")


def _serve(run: Runner, server: GarageServer) -> None:
    garage_upgrade.serve(run, server.project(own_addresses(gather(run, server.project(()).watch))))


def expect(host: Host, api: AdminApi, desired: Desired) -> None:
    """`bucket_and_key` will ask Garage."""
    ahead.announce(host, (api, desired), lambda: read(HostRunner(host), api, desired))


@operation()
def bucket_and_key(api: AdminApi, desired: Desired) -> Generator[FunctionCommand, None, None]:
    """The bucket is there, and the key may read and write it; a lost grant is given again."""
    host = ctx_host.get()
    try:
        found = ahead.answer(host, (api, desired), lambda: read(HostRunner(host), api, desired))
        change = garage_admin.plan(desired, found)
        reason = change.description if change else ""
    except TailwartError as problem:
        # A plan only announces it: the operation fails when it executes.
        reason = problem.what
    if not reason:
        host.noop(f"bucket {desired.bucket} and its key are up to date")
        return
    announce(host, reason)
    yield command(host, partial(ensure, api=api, desired=desired), "bucket and key")


def ensure(run: Runner, api: AdminApi, desired: Desired) -> None:
    """Make what is missing, with the state read again after each step; raises `TailwartError`."""
    done: list[str] = []
    while change := garage_admin.plan(desired, read(run, api, desired)):
        if change.description in done:
            raise TailwartError(
                "Garage accepted the requests, and something is still missing",
                seen=change.description,
                remedy="look at Garage's log, then run again",
            )
        _make(run, api, change)
        if change.path.endswith("UpdateClusterLayout"):
            _make(run, api, garage_admin.APPLY)
        done.append(change.description)


def _make(run: Runner, api: AdminApi, change: Change) -> None:
    (answer,) = api.ask(run, change.path, body=change.body)
    if refusal := garage_admin.forbidden(answer):
        raise refusal
    if answer.status not in (200, 204):
        raise TailwartError(
            f"Garage refuses to {change.description}",
            seen=f"HTTP {answer.status}: {str(answer.document.get('message', ''))[:200]}",
            remedy="look at `garage status` and at its log, then run the deploy again",
        )


def read(run: Runner, api: AdminApi, desired: Desired) -> list[Answer]:
    """What Garage says of cluster, bucket and key; changes nothing."""
    return api.ask(run, *garage_admin.questions(desired))
