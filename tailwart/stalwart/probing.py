"""Looking at the running server itself, from inside its namespace: is it up, and does it listen where it must.

Only 8080 and the kernel's table of sockets are asked. The mail ports are not polled: their auto-ban counts (lesson 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tailwart.stalwart import names
from tailwart.stalwart.failures import NotReachable, SettingsError

if TYPE_CHECKING:
    from tailwart.operations.remote import Runner

_LISTENING = "0A"  # TCP_LISTEN in include/net/tcp_states.h, as /proc/net/tcp prints it


def wait_until_live(run: Runner, container: str = names.CONTAINER, base: str = names.BASE, seconds: int = 120) -> None:
    """Until `/healthz/live` answers; raises NotReachable with the end of the server's log."""
    script = (
        f"i=0; while [ $i -lt {seconds * 2} ]; do "
        f"docker exec {container} curl --silent --fail --max-time 5 --output /dev/null "
        f"{base}/healthz/live && exit 0; "
        f"docker inspect --format '{{{{.State.Status}}}}' {container} >/dev/null 2>&1 || exit 3; "
        "i=$((i+1)); sleep 0.5; done; exit 1"
    )
    if not run(script, timeout=seconds * 6.0).ok:
        log = run(f"docker logs --tail 8 {container} 2>&1", timeout=30).stdout.strip()
        raise NotReachable(
            "Stalwart does not come up",
            seen=log[-800:] or "no log at all",
            expected=f"{base}/healthz/live to answer within {seconds} s",
            remedy="look at `docker logs stalwart` on the mailbox host (most often its store), then deploy again",
        )


def prove_sockets(run: Runner, container: str, wanted: set[int], seconds: int = 60) -> None:
    """Every wanted port is listened on; raises SettingsError with the missing ones.

    A listener that cannot bind is only logged by the server, and its port stays silent.
    """
    script = f"docker exec {container} cat /proc/net/tcp /proc/net/tcp6"
    missing = wanted
    for _ in range(seconds):
        missing = wanted - listening(run(script, timeout=30).stdout)
        if not missing:
            return
        run("sleep 1", timeout=30)
    raise SettingsError(
        "Stalwart does not listen on every port",
        seen=f"nothing listens on {', '.join(map(str, sorted(missing)))}",
        expected=f"listeners on {', '.join(map(str, sorted(wanted)))}",
        remedy="`docker logs stalwart | grep listen` on the mailbox host says why it could not bind",
    )


def listening(table: str) -> set[int]:
    """The ports in the kernel's socket table that are listened on."""
    rows = (line.split() for line in table.splitlines())
    return {
        int(row[1].rpartition(":")[2], 16)
        for row in rows
        if len(row) > 3 and row[3] == _LISTENING and not row[1].startswith("0100007F")
    }
