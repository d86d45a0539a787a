"""A set back into the stores: on the same host, or on a bare one, which becomes the mailbox.

1. the host has what a restore needs: engine, programs, the mailbox's files;
2. the set is fetched and proven by its manifest; nothing was touched so far;
3. the sidecar is up, under the name it had: its state comes from the set where the host has none;
4. the server stops, the store of now is kept aside, and that of the set takes its place; PostgreSQL in one transaction;
5. the server starts on it and is healthy.

A run that dies is begun again: what a half-done step left counts as no store.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import SecretStr

from tailwart.backup import names
from tailwart.backup.files import backup as declared
from tailwart.backup.job import Progress, perform
from tailwart.backup.operations import prepare
from tailwart.backup.target import repository
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.hosts.project import ComposeProject
from tailwart.mailbox import names as mailbox
from tailwart.mailbox.login import SIDECAR_KEY
from tailwart.mailbox.project import compose_project
from tailwart.operations import compose, engine, hostfiles, nodekey
from tailwart.runner import Runner
from tailwart.tailnet.minting import sidecar_key

# Waited for by hand: Compose gives up at once on a container that is still unhealthy from a moment ago. One that ends
# again and again has no login.
_UP = """docker compose {options} up -d {service} 2>&1 || exit 1
health() {{ docker inspect --format '{{{{.State.Health.Status}}}}' {service}; }}
i=0; until [ "$(health)" = healthy ]; do
  sleep 1; i=$((i+1)); [ $i -lt {seconds} ] || {{ echo "{service} is $(health) after {seconds} s"; exit 1; }}
  [ $i -lt 10 ] || [ "$(docker inspect --format '{{{{.State.Status}}}}' {service})" != restarting ] || exit 1
done"""
_ROUNDS, _SECONDS = 5, 45


def _silent(_: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Restored:
    """What the stores hold again. `aside` is where the store of before was kept on the host; empty: there was none."""

    name: str
    started: str
    aside: str
    counts: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """The restore as plain values, for `--json`."""
        return asdict(self)


def run(
    host: Runner,
    environment: Environment,
    name: str,
    *,
    overwrite: bool = False,
    to: str = "",
    progress: Progress = _silent,
) -> Restored:
    """Restore a set ("latest": the newest) into the mailbox on this host and its stores.

    Raises `TailwartError` before anything is touched for a damaged set, and for a store that holds data unless
    ``overwrite``.
    """
    backup = declared(environment)
    if backup is None:
        raise TailwartError(
            "no backup target is configured",
            seen="BACKUP_TARGET is empty",
            expected="where the set is",
            remedy="set BACKUP_TARGET and BACKUP_PASSWORD in .env",
        )
    project = compose_project(environment)
    progress("preparing the host")
    engine.provide(host, ipv6_nat=True)
    prepare(host, backup)
    fetched = perform(host, "fetch", {"SET": name, "TO": repository(to)}, progress)
    make_volumes(host, project)
    bring_sidecar_up(host, environment, project, progress)
    done = perform(host, "load", {"TO": repository(to), "OVERWRITE": "yes" if overwrite else ""}, progress)
    progress("starting the server on it")
    compose.bring_up(host, project)
    return Restored(
        name=str(done["set"]),
        started=str(fetched.get("started") or ""),
        aside=str(done.get("aside") or ""),
        counts=dict(done.get("counts") or {}),
    )


# Volumes get what the set has where they are not there yet. Compose's own labels, so that it takes them for its own.
_VOLUMES = """
set -eu
fill() {{
  name={project}_$1
  [ -z "$(docker volume inspect --format '{{{{.Mountpoint}}}}' $name 2>/dev/null)" ] || return 0
  labels="--label com.docker.compose.project={project} --label com.docker.compose.volume=$1"
  docker volume create $labels $name >/dev/null
  [ ! -d "$2" ] || cp -a "$2/." "$(docker volume inspect --format '{{{{.Mountpoint}}}}' $name)/"
}}
fill ts-state {fetched}/sidecar
fill stalwart-etc {fetched}/etc
fill stalwart-data /nonexistent
chown 2000:2000 "$(docker volume inspect --format '{{{{.Mountpoint}}}}' {project}_stalwart-data)"
"""


def make_volumes(host: Runner, project: ComposeProject) -> None:
    """The mailbox's files, and its volumes where they are not there: with what a fetched set has, or empty."""
    hostfiles.write(host, project.files, project.directories)
    bootstrap = f"[ -f {mailbox.BOOTSTRAP_ENV} ] || (umask 077; : >{mailbox.BOOTSTRAP_ENV})"
    made = host(
        f"cd {project.directory} && {bootstrap}\n"
        + _VOLUMES.format(project=project.name, fetched=f"{names.DIRECTORY}/fetched"),
        timeout=120,
    )
    if not made.ok:
        raise TailwartError("the mailbox's volumes cannot be made", seen=made.stderr.strip()[-500:] or "no output")


def bring_sidecar_up(host: Runner, environment: Environment, project: ComposeProject, progress: Progress) -> None:
    """The sidecar alone runs, under the name it had, and reaches the store; raises `TailwartError`."""
    for preparation in project.preparations:
        host(f"if {preparation.needed}; then {preparation.script}; fi", timeout=600)
    progress("bringing the sidecar up")

    def key() -> SecretStr:
        return sidecar_key(environment)

    service = shlex.quote(mailbox.SIDECAR)
    up = f"cd {project.directory} || exit 1\n{_UP.format(options=project.options, service=service, seconds=_SECONDS)}"
    said = ""
    # The tailnet may have forgotten the node whose state the set holds: that shows only when it runs.
    for _ in range(_ROUNDS):
        nodekey.provide(host, SIDECAR_KEY, key)
        done = host(up, timeout=900)
        if done.ok:
            kept = {file.path for file in project.files}
            host("rm -f " + " ".join(path for path in (SIDECAR_KEY.path,) if path not in kept), timeout=60)
            return
        said = f"{done.stdout}{host(f'docker logs --tail 3 {service} 2>&1', timeout=60).stdout}"
    raise TailwartError(
        "the sidecar does not come up, so the stores cannot be reached and were left as they are",
        seen=project.masked(said.strip()[-1000:]),
        expected=f"the node {environment.stalwart_magic_name} on the tailnet, and its store's port",
        remedy="pyinfra inventory.py deploy.py --limit tailnet --limit backends, then run it again",
    )
