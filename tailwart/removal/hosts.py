"""What the deploy has made on a host, and its removal. Each script works on a host that has none of it any more."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from tailwart.backup import names as backup
from tailwart.edge import door, image, resolver
from tailwart.edge.plan import WEB_PATH
from tailwart.edge.share import put_back
from tailwart.errors import TailwartError
from tailwart.hosts.hardening import texts
from tailwart.mailbox import follower, names, project, status
from tailwart.operations import hardening
from tailwart.runner import Runner

_HARDENED = f"[ -e {texts.DIRECTORY} ] || [ -e {texts.DROP_IN} ]"
_HARDENING = "packet filter, sshd's settings and security updates of the deploy"


@dataclass(frozen=True, slots=True)
class HostRole:
    """What a role has on its host. ``volumes`` hold data, ``kept`` says in the operator's words what stays for good."""

    project: str
    directory: str
    units: tuple[str, ...]
    unit_files: tuple[str, ...]
    images: str = ""
    files: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


EDGE = HostRole(
    project=image.CONTAINER,
    directory=image.DIRECTORY,
    units=(*resolver.UNIT.names, door.UNIT),
    unit_files=(
        *(file.path for file in resolver.UNIT.files if file.path.startswith("/etc/")),
        f"/etc/systemd/system/{door.UNIT}",
    ),
    images=image.REPOSITORY,
    kept=(
        "the container engine and its settings",
        "the node of the tailnet: `tailscale logout` on the host takes it off",
    ),
)
_TIMERS = (backup.BACKUP, backup.DRILL)
MAILBOX = HostRole(
    project=names.PROJECT,
    directory=names.DIRECTORY,
    units=(
        *status.UNITS,
        *follower.UNIT.names,
        *(f"{name}.timer" for name in _TIMERS),
        *(f"{name}.service" for name in _TIMERS),
    ),
    unit_files=(
        *(file.path for file in follower.UNIT.files if file.path.startswith("/etc/")),
        *status.UNIT_FILES,
        *(f"/etc/systemd/system/{name}.{kind}" for name in _TIMERS for kind in ("timer", "service")),
    ),
    images=status.REPOSITORY,
    files=(project.MODULES, backup.DIRECTORY, status.DIRECTORY),
    volumes=tuple(f"{names.PROJECT}_{volume}" for volume in ("stalwart-data", "stalwart-etc", "ts-state")),
    kept=("the container engine and its settings", "database and bucket, where the store is elsewhere"),
)


def _shared(role: HostRole) -> str:
    """A shell command that succeeds where another role of the deploy is on the same machine."""
    listed = "docker ps -a --format '{{.Label \"com.docker.compose.project\"}}' 2>/dev/null"
    return f"{listed} | grep '^tailwart-' | grep -qv '^{role.project}$'"


def found(run: Runner, role: HostRole) -> list[str]:
    """What is there of the role now, one line each; empty when it is gone."""
    web = f'[ ! -s {WEB_PATH} ] || echo "the edit of $(cat {WEB_PATH}): it has :443 again"' if role is EDGE else ":"
    label = f"--filter label=com.docker.compose.project={role.project}"
    images = f"docker image ls --format 'image {{{{.Repository}}}}:{{{{.Tag}}}}' {role.images}" if role.images else ":"
    done = run(
        f"""docker ps -a {label} --format 'container {{{{.Names}}}}' 2>/dev/null
{images} 2>/dev/null
for f in {shlex.join((*role.unit_files, *role.files, role.directory))}; do [ ! -e "$f" ] || echo "$f"; done
if {{ {_HARDENED}; }} && ! {{ {_shared(role)}; }}; then echo "{_HARDENING}"; fi
{web}
""",
        timeout=120,
    )
    return done.stdout.splitlines()


def data(run: Runner, role: HostRole) -> list[str]:
    """The volumes with data that are there, with their sizes."""
    done = run(
        f"""for v in {shlex.join(role.volumes)}; do
  d=$(docker volume inspect --format '{{{{.Mountpoint}}}}' $v 2>/dev/null) || continue
  echo "volume $v ($(du -sh "$d" 2>/dev/null | cut -f 1))"
done""",
        timeout=300,
    )
    return done.stdout.splitlines()


def remove(run: Runner, role: HostRole, *, with_data: bool) -> None:
    """Take the role off its host; raises `TailwartError` when something is left."""
    web = run(f"cat {WEB_PATH} 2>/dev/null || :", timeout=60).stdout.strip() if role is EDGE else ""
    _script(
        run,
        f"""for u in {shlex.join(role.units)}; do systemctl disable --quiet --now $u 2>/dev/null || :; done
rm -f {shlex.join(role.unit_files)}; systemctl daemon-reload
{_CONTAINERS.replace("@project@", role.project)}""",
    )
    if web:
        # Only now, when nothing listens on :443 any more.
        put_back(run, web)
    hardening.remove(run)
    volumes = shlex.join(role.volumes) if with_data else ""
    images = (
        f"docker image ls -q {role.images} | sort -u | xargs -r docker image rm -f >/dev/null" if role.images else ":"
    )
    _script(
        run,
        f"""for v in {volumes}; do docker volume rm -f $v >/dev/null; done
{images if role.images else ":"}
rm -rf {shlex.join((*role.files, role.directory))}
[ -n "$(ls -A /opt/tailwart 2>/dev/null | grep -v -e history.jsonl -e engine-)" ] || rm -rf /opt/tailwart
""",
    )
    if left := found(run, role):
        raise TailwartError(
            "the role was not removed completely",
            seen="\n".join(left),
            remedy="run this again; what is already gone is not missed",
        )


_CONTAINERS = """if command -v docker >/dev/null; then
  docker ps -aq --filter label=com.docker.compose.project=@project@ | xargs -r docker rm -f >/dev/null
  docker network ls -q --filter label=com.docker.compose.project=@project@ | xargs -r docker network rm >/dev/null
fi"""


def _script(run: Runner, script: str) -> None:
    done = run(f"set -eu\n{script}", timeout=300)
    if not done.ok:
        raise TailwartError(
            "the role cannot be removed",
            seen=done.stderr.strip()[-500:] or "no output",
            expected="root's rights and an engine that answers",
            remedy="fix the error above on the host, then run this again",
        )


def lines(items: Sequence[str], kept: Sequence[str]) -> list[str]:
    """The plan for people: what goes with a minus, what stays with a blank."""
    return [*(f"- {item}" for item in items), *(f"  stays: {item}" for item in kept)]
