"""What a hardened host's one remote command prints of its hardening."""

from __future__ import annotations

import base64
import hashlib

from tailwart.hosts.hardening import plan, texts
from tailwart.hosts.hardening.plan import HostRole

FACTS = (
    "tool nft",
    "tool sshd",
    "tool unattended-upgrade",
    "tool apt-get",
    "sshd port 22",
    "sshd passwordauthentication no",
    "sshd kbdinteractiveauthentication no",
    "listing abc",
    "boot enabled",
    'socket tcp   LISTEN 0      128          0.0.0.0:22         0.0.0.0:*    users:(("sshd",pid=1,fd=3))',
)


def digest(text: str) -> str:
    """As the record and the report have it."""
    return hashlib.sha256(text.encode()).hexdigest()


def record(role: HostRole, listing: str = "abc") -> str:
    """The host's record of what was last proven."""
    return f"{digest(texts.rules((22,), role.ports))} {digest(texts.SSHD)} {listing}\n"


def lines(role: HostRole, facts: tuple[str, ...] = FACTS, known: str | None = None, *, files: bool = True) -> list[str]:
    """The report's lines; ``known`` is the record, that of a hardened host by default."""
    found = [f"probe\thardening\t0\t{_encoded(chr(10).join(facts))}"]
    if known is None or known:
        found.append(f"content\t{_encoded(record(role) if known is None else known)}\t{texts.RECORD}")
    if files:
        for file in plan.support():
            found.append(f"path\tregular file\t{file.mode.lstrip('0')}\t{file.owner}\t{file.path}")
            found.append(f"sha256\t{file.sha256}\t{file.path}")
        found.append(f"path\tregular file\t644\troot:root\t{texts.DROP_IN}")
        found.append(f"sha256\t{digest(texts.SSHD)}\t{texts.DROP_IN}")
    return found


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
