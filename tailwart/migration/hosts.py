"""What a move asks of the two hosts, and does to them: whether one may be left and the other may take over."""

from __future__ import annotations

import secrets
import shlex

from tailwart.backup.names import BACKUP, DRILL
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.hosts.project import ComposeProject
from tailwart.mailbox import follower, names
from tailwart.migration import journal
from tailwart.migration.journal import Journal
from tailwart.operations import hostfiles
from tailwart.operations.compose import bring_up
from tailwart.runner import Runner

VOLUMES = tuple(f"{names.PROJECT}_{volume}" for volume in ("stalwart-data", "stalwart-etc", "ts-state"))
_FOLLOWER = " ".join(follower.UNIT.names)
_TIMERS = " ".join(f"{name}.timer" for name in (BACKUP, DRILL))
_MARGIN = 1.2  # times the data: the server writes while it starts


def read_journal(run: Runner) -> Journal | None:
    """How far a move from this host has come."""
    return journal.parse(run(f"cat {journal.PATH} 2>/dev/null || :", timeout=60).stdout)


def write_journal(run: Runner, entry: Journal) -> None:
    """Note a step on the old host."""
    hostfiles.write(run, [HostFile(journal.PATH, entry.dump(), "0600")])


def refuse_the_same(source: Runner, target: Runner) -> None:
    """Raise `TailwartError` when both are one machine, whatever its names."""
    path = f"/run/tailwart-{secrets.token_hex(8)}"
    source(f": >{path}", timeout=60)
    try:
        if target(f"[ -e {path} ]", timeout=60).ok:
            raise TailwartError(
                "the mailbox is on that host already",
                seen="both addresses lead to one machine",
                expected="another host",
                remedy="name the new host: tailwart migrate-host root@192.0.2.11",
            )
    finally:
        source(f"rm -f {path}", timeout=60)


def refuse_unready(source: Runner, project: ComposeProject) -> None:
    """Raise `TailwartError` when the old host does not serve as `.env` says, or a backup is at work on it."""
    done = source(
        f"docker inspect --format '{{{{.State.Health.Status}}}}' {names.CONTAINER} 2>/dev/null; "
        f"systemctl is-active {BACKUP}.service {DRILL}.service | grep -x -e active -e activating",
        timeout=60,
    )
    states = done.stdout.split()
    if states[:1] != ["healthy"]:
        raise TailwartError(
            "there is no healthy mailbox to move",
            seen=f"the container {names.CONTAINER} is {states[0] if states else 'not there'}",
            expected="a mailbox that serves; where the old host died: docs/lifecycle.md, A mailbox host that died",
            remedy="pyinfra inventory.py deploy.py --limit mailbox",
        )
    if states[1:]:
        raise TailwartError(
            "a backup or a drill is at work on the mailbox host",
            remedy=f"wait for its end: systemctl status {BACKUP} {DRILL}",
        )
    mine = [file for file in project.files if file.path.startswith(f"{project.directory}/")]
    listed = source(f"sha256sum {shlex.join(file.path for file in mine)} 2>/dev/null", timeout=60).stdout
    digests = {path: digest for digest, path in (line.split(maxsplit=1) for line in listed.splitlines())}
    if differing := [file.path for file in mine if digests.get(file.path) != file.sha256]:
        raise TailwartError(
            "the mailbox is not as .env says: a move would change it on the way",
            seen=", ".join(differing),
            expected="the files of the last deploy",
            remedy="pyinfra inventory.py deploy.py --limit mailbox, then run this again",
        )


def size(source: Runner) -> int:
    """Bytes of the mailbox's volumes."""
    done = source(f"du -sbc {_mountpoints()} | tail -n 1", timeout=600)
    return int(done.stdout.split()[0]) if done.ok and done.stdout.strip() else 0


def refuse_foreign(target: Runner, octets: int) -> None:
    """Raise `TailwartError` for a host with a mailbox that no move has brought there, or without room for this one."""
    running = f"docker ps -q --filter name='^{names.CONTAINER}$' 2>/dev/null"
    moved = f"grep -q '\"{journal.Step.DONE}\"' {journal.PATH} 2>/dev/null"
    volumes = " || ".join(f"docker volume inspect {volume} >/dev/null 2>&1" for volume in VOLUMES)
    done = target(
        f'if [ ! -e {journal.ARRIVING} ] && ! {{ {moved} && [ -z "$({running})" ]; }} && {{ {volumes}; }}; then '
        "echo foreign; fi; d=/var/lib/docker; [ -d $d ] || d=/; df --output=avail -B 1 $d | tail -n 1",
        timeout=120,
    )
    words = done.stdout.split()
    if words[:1] == ["foreign"]:
        raise TailwartError(
            "the new host holds a mailbox already",
            seen=f"volumes of {names.PROJECT}, and no note of a move",
            expected="a host without one, or one that this mailbox has left",
            remedy="`tailwart remove mailbox --data` with MAILBOX_SSH set to that host, if nobody needs it",
        )
    free = int(words[-1]) if words and words[-1].isdecimal() else 0
    if free < octets * _MARGIN:
        raise TailwartError(
            "the new host has no room for the mailbox",
            seen=f"{free / 1e9:.1f} GB free",
            expected=f"{octets * _MARGIN / 1e9:.1f} GB for {octets / 1e9:.1f} GB of data",
            remedy="a larger disk",
        )


def arriving(target: Runner) -> None:
    """What is on the new host from here on is a copy, which is not served; containers of an earlier life go."""
    hostfiles.write(target, [HostFile(journal.ARRIVING, "a mailbox is being moved to this host\n", "0600")])
    remove_containers(target)
    target(f"systemctl disable --now {_FOLLOWER} {_TIMERS} 2>/dev/null; rm -f {journal.PATH}", timeout=120)


def remove_containers(target: Runner) -> None:
    """Nothing of the mailbox runs on the new host; its volumes stay."""
    target(
        f"docker ps -aq --filter label=com.docker.compose.project={names.PROJECT} 2>/dev/null | "
        "xargs -r docker rm -f >/dev/null",
        timeout=120,
    )


def stop(source: Runner) -> None:
    """The mailbox ends, and nothing on the host starts it again; raises `TailwartError` when it does not end."""
    source(f"systemctl disable --now {_FOLLOWER} {_TIMERS} 2>/dev/null", timeout=120)
    # The server first, with the time that it needs to close its store, while its store can still be reached.
    done = source(
        f"docker update --restart=no {names.CONTAINER} {names.SIDECAR} >/dev/null && "
        f"docker stop --time 60 {names.CONTAINER} >/dev/null && docker stop --time 10 {names.SIDECAR} >/dev/null",
        timeout=240,
    )
    if not done.ok:
        raise TailwartError(
            "the mailbox cannot be stopped",
            seen=done.stderr.strip()[-300:],
            remedy="look at `docker ps` on the old host, then run this again",
        )


def start_again(source: Runner, project: ComposeProject) -> None:
    """The old host serves as before; raises `TailwartError` when it does not come up."""
    source(
        f"rm -f {journal.PATH}; docker update --restart=on-failure {names.CONTAINER} >/dev/null; "
        f"docker update --restart=unless-stopped {names.SIDECAR} >/dev/null",
        timeout=120,
    )
    bring_up(source, project)
    # Those that there are: without BACKUP_TARGET there are no timers.
    source(
        f"for unit in {_FOLLOWER} {_TIMERS}; do [ ! -e /etc/systemd/system/$unit ] || "
        "systemctl enable --quiet --now $unit; done",
        timeout=120,
    )


def mountpoint(run: Runner, volume: str) -> str:
    """Where a volume is on the host; raises `TailwartError` when there is none."""
    done = run(f"docker volume inspect --format '{{{{.Mountpoint}}}}' {volume}", timeout=60)
    if not done.ok or not done.stdout.strip():
        raise TailwartError(f"the volume {volume} is not there", seen=done.stderr.strip()[-200:])
    return done.stdout.strip()


def _mountpoints() -> str:
    return f"$(docker volume inspect --format '{{{{.Mountpoint}}}}' {' '.join(VOLUMES)})"
