"""Probes of the running server, from inside its namespace: it answers, listens on every port, and trusts the edges.

Only 8080 and the kernel's table of sockets are polled. The mail ports are asked once: their auto-ban counts (lesson 3).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from tailwart.mailbox import names
from tailwart.network import TAILNET_RANGES, Service
from tailwart.runner import Runner
from tailwart.stalwart.protocol.failures import NotReachable, SettingsError

_LISTENING = "0A"  # TCP_LISTEN in include/net/tcp_states.h, as /proc/net/tcp prints it
_START_SECONDS = 120
_BIND_SECONDS = 60


def wait_until_live(run: Runner, base: str = names.BASE, container: str = names.CONTAINER) -> None:
    """Wait until `/healthz/live` answers; raises NotReachable after two minutes, with the end of the server's log."""
    script = (
        f"i=0; while [ $i -lt {_START_SECONDS * 2} ]; do "
        f"docker exec {container} curl --silent --fail --max-time 5 --output /dev/null "
        f"{base}/healthz/live && exit 0; "
        f"docker inspect --format '{{{{.State.Status}}}}' {container} >/dev/null 2>&1 || exit 3; "
        "i=$((i+1)); sleep 0.5; done; exit 1"
    )
    if not run(script, timeout=_START_SECONDS * 6.0).ok:
        log = run(f"docker logs --tail 8 {container} 2>&1", timeout=30).stdout.strip()
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


# The command that ends a session in each clear-text protocol, and what a server that understood it answers.
_FAREWELLS = {"smtp": ("QUIT", "221 "), "imap": ("a LOGOUT", "BYE"), "manageSieve": ("LOGOUT", "OK")}

# Sends a PROXY v2 header (its specification, section 2.2) from the sidecar's own tailnet address to itself: a peer that
# the listeners must trust, and an address that no ban can hit. A listener that trusts it reads the header and answers
# the farewell; one that does not takes the header for a command and says 500 (SMTP), BAD (IMAP) or NO (ManageSieve).
_ASK = r"""
ip=$(tailscale ip -4 2>/dev/null | head -n 1); [ -n "$ip" ] || exit 4
octets() { for part in $(echo "$1" | tr . ' '); do printf "\\$(printf %03o "$part")"; done; }
header() { printf '\r\n\r\n\000\r\nQUIT\n\041\021\000\014'; octets "$ip"; octets "$ip"; printf '\234\100\000\031'; }
work=$(mktemp -d) || exit 4
ask() { { header; printf '%s\r\n' "$2"; sleep 1; } | nc -w 10 "$ip" "$1" > "$work/$1"; }
@asks@
wait
for port in @ports@; do echo "port $port"; cat "$work/$port"; done
rm -r "$work"
"""


def prove_trust(run: Runner, services: Iterable[Service]) -> str:
    """Ask the clear-text services among ``services`` once each, as an edge does; all others have the same setting.

    Raises SettingsError when a port does not accept the PROXY header. Returns a sentence on what could not be verified,
    or an empty text.
    """
    asked = [item for item in services if not item.implicit_tls and item.protocol in _FAREWELLS]
    if not asked:
        return ""
    asks = "\n".join(f"ask {item.port} '{_FAREWELLS[item.protocol][0]}' &" for item in asked)
    script = _ASK.replace("@asks@", asks).replace("@ports@", " ".join(str(item.port) for item in asked))
    done = run(f"docker exec -i {names.SIDECAR} sh -c {shlex.quote(script)} 2>/dev/null", timeout=90)
    sections = done.stdout.split("port ")[1:]
    answers = {section.splitlines()[0].strip(): section for section in sections if section.strip()}
    refusing = [port for port, text in answers.items() if "500 " in text or " BAD " in text or "\nNO " in text]
    if refusing:
        raise SettingsError(
            "the mail ports do not accept the edges' PROXY header",
            seen=f"{', '.join(refusing)} read the header as a command",
            expected=f"trust for {' and '.join(TAILNET_RANGES)} on every public mail service",
            remedy="run the deploy again; the override takes effect at a restart of Stalwart, not at a reload",
        )
    silent = [str(item.port) for item in asked if _FAREWELLS[item.protocol][1] not in answers.get(str(item.port), "")]
    return f"no proof of trust on {', '.join(silent)}: no answer through the sidecar" if silent else ""


def listening(table: str) -> set[int]:
    """The listening ports in the kernel's socket table (`/proc/net/tcp` and `tcp6`), without those on loopback."""
    rows = (line.split() for line in table.splitlines())
    return {
        int(row[1].rpartition(":")[2], 16)
        for row in rows
        if len(row) > 3 and row[3] == _LISTENING and not row[1].startswith("0100007F")
    }
