"""Probes of the running server, from inside its namespace: it answers, listens on every port, and trusts the edges.

Only 8080 and the kernel's table of sockets are polled. The mail ports are asked once: their auto-ban counts (lesson 3).
"""

from __future__ import annotations

import shlex

from tailwart.mailbox import names
from tailwart.network import TAILNET_RANGES
from tailwart.runner import Runner
from tailwart.stalwart.protocol.failures import NotReachable, SettingsError

_LISTENING = "0A"  # TCP_LISTEN in include/net/tcp_states.h, as /proc/net/tcp prints it
_START_SECONDS = 120
_BIND_SECONDS = 60


def wait_until_live(run: Runner, base: str = names.BASE) -> None:
    """Wait until `/healthz/live` answers; raises NotReachable after two minutes, with the end of the server's log."""
    script = (
        f"i=0; while [ $i -lt {_START_SECONDS * 2} ]; do "
        f"docker exec {names.CONTAINER} curl --silent --fail --max-time 5 --output /dev/null "
        f"{base}/healthz/live && exit 0; "
        f"docker inspect --format '{{{{.State.Status}}}}' {names.CONTAINER} >/dev/null 2>&1 || exit 3; "
        "i=$((i+1)); sleep 0.5; done; exit 1"
    )
    if not run(script, timeout=_START_SECONDS * 6.0).ok:
        log = run(f"docker logs --tail 8 {names.CONTAINER} 2>&1", timeout=30).stdout.strip()
        raise NotReachable(
            "Stalwart does not come up",
            seen=log[-800:] or "no log at all",
            expected=f"{base}/healthz/live to answer within {_START_SECONDS} s",
            remedy="read `docker logs stalwart` on the mailbox host (most often it is the store), then deploy again",
        )


def prove_sockets(run: Runner, desired: set[int]) -> None:
    """Wait until every desired port is listened on; raises SettingsError with the missing ones after a minute.

    A listener that cannot bind is only logged by the server, and its port does not answer.
    """
    script = f"docker exec {names.CONTAINER} cat /proc/net/tcp /proc/net/tcp6"
    missing = desired
    for _ in range(_BIND_SECONDS):
        missing = desired - listening(run(script, timeout=30).stdout)
        if not missing:
            return
        run("sleep 1", timeout=30)
    raise SettingsError(
        "Stalwart does not listen on every port",
        seen=f"nothing listens on {', '.join(map(str, sorted(missing)))}",
        expected=f"listeners on {', '.join(map(str, sorted(desired)))}",
        remedy="read on the mailbox host why it cannot bind: `docker logs stalwart | grep listen`",
    )


# Sends a PROXY v2 header (its specification, section 2.2) from the sidecar's own tailnet address to itself: a peer that
# the listeners must trust, and an address that no ban can hit. A listener that trusts it reads the header and answers
# QUIT; one that does not takes the header for a command and says 500 (SMTP) or BAD (IMAP).
_ASK = r"""
ip=$(tailscale ip -4 2>/dev/null | head -n 1); [ -n "$ip" ] || exit 4
octets() { for part in $(echo "$1" | tr . ' '); do printf "\\$(printf %03o "$part")"; done; }
header() { printf '\r\n\r\n\000\r\nQUIT\n\041\021\000\014'; octets "$ip"; octets "$ip"; printf '\234\100\000\031'; }
work=$(mktemp -d) || exit 4
for port in 25 587 143; do
  { header; [ $port = 143 ] && printf 'a LOGOUT\r\n' || printf 'QUIT\r\n'; sleep 1; } |
    nc -w 10 "$ip" $port > "$work/$port" &
done
wait
for port in 25 587 143; do echo "port $port"; cat "$work/$port"; done
rm -r "$work"
"""


def prove_trust(run: Runner) -> str:
    """Ask the clear-text mail ports once each, as an edge does; the same trust applies to 465 and 993.

    Raises SettingsError when a port does not accept the PROXY header. Returns a sentence on what could not be verified,
    or an empty text.
    """
    done = run(f"docker exec -i {names.SIDECAR} sh -c {shlex.quote(_ASK)} 2>/dev/null", timeout=90)
    sections = done.stdout.split("port ")[1:]
    answers = {section.splitlines()[0].strip(): section for section in sections if section.strip()}
    refusing = [port for port, text in answers.items() if "500 " in text or " BAD " in text]
    if refusing:
        raise SettingsError(
            "the mail ports do not accept the edges' PROXY header",
            seen=f"{', '.join(refusing)} read the header as a command",
            expected=f"trust for {' and '.join(TAILNET_RANGES)} on 25, 465, 587, 143 and 993",
            remedy="run the deploy again; the override takes effect at a restart of Stalwart, not at a reload",
        )
    farewells = {"25": "221 ", "587": "221 ", "143": "BYE"}
    silent = [port for port, farewell in farewells.items() if farewell not in answers.get(port, "")]
    return f"no proof of trust on {', '.join(silent)}: no answer through the sidecar" if silent else ""


def listening(table: str) -> set[int]:
    """The listening ports in the kernel's socket table (`/proc/net/tcp` and `tcp6`), without those on loopback."""
    rows = (line.split() for line in table.splitlines())
    return {
        int(row[1].rpartition(":")[2], 16)
        for row in rows
        if len(row) > 3 and row[3] == _LISTENING and not row[1].startswith("0100007F")
    }
