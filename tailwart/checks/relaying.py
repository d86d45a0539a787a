"""Whether an edge's door passes mail on for strangers: a conversation with port 25 that stops before any message.

The edge asks itself, at its public address: the server sees a client that is neither logged in nor local, wherever the
operator's machine is and whatever its provider blocks.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from tailwart.checks.model import CannotLook, Found
from tailwart.environment import Edge, Environment
from tailwart.network import SMTP

PROBE = "relaying"
STRANGER = "relay-probe@example.com"
"""Nobody's (RFC 2606), and never written to: the conversation ends after RCPT."""

# A reply may have several lines; its last has a space after the code. bash, for its /dev/tcp.
_TALK = r"""
exec 3<>"/dev/tcp/$1/25" || exit 7
hear() { while IFS= read -r -t 15 line <&3; do case $line in [0-9][0-9][0-9]-*) ;; *) return 0;; esac; done; exit 8; }
say() { printf '%s\r\n' "$2" >&3; hear; printf '%s %s\n' "$1" "${line%?}"; }
hear
say helo 'EHLO doctor.invalid'
for from in "" "$2"; do
  say "from:$from" "MAIL FROM:<$from>"
  say "to:$from" "RCPT TO:<$3>"
  say reset RSET
done
say quit QUIT
"""


def probes(environment: Environment, edge: Edge) -> Iterator[tuple[str, str]]:
    """What is asked of an edge beside the ordinary facts; nothing where it takes no mail or has no public address."""
    address = edge.ipv4 or edge.ipv6
    if SMTP in environment.services_of(edge) and address is not None:
        words = ("-c", _TALK, "relaying", str(address), _local(environment), STRANGER)
        yield PROBE, f"timeout 60 bash {shlex.join(words)} 2>&1"


def found(environment: Environment, said: str) -> Found:
    """What the conversation shows; raises `CannotLook` where the server gave no clear answer."""
    replies = dict(line.partition(" ")[::2] for line in said.splitlines())
    for sender in senders(environment):
        begun, asked = replies.get(f"from:{sender}", ""), replies.get(f"to:{sender}", "")
        # Who may not even begin sends nothing.
        if begun.startswith("5"):
            continue
        if asked.startswith("2"):
            yield f"from <{sender}> to {STRANGER}: {asked}"
        elif not asked.startswith("5"):
            raise CannotLook(f"the server does not say whether it relays: {begun or 'nothing'}; {asked or 'nothing'}")


def senders(environment: Environment) -> tuple[str, str]:
    """A bounce, and a sender who seems to be one of our own: both are strangers without a login."""
    return "", _local(environment)


def _local(environment: Environment) -> str:
    return f"postmaster@{environment.domain}"
