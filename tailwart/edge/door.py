"""Limits per client address at the edge's door, as nftables rules: a flood does not reach the mailbox.

Caddy cannot tell how often an address comes, and a connection that it has accepted has cost a dial to the mailbox
already. The kernel refuses earlier. Senders that are well behaved stay far below the limits; what is beyond the rate is
dropped, so that their TCP tries again a second later, and what is beyond the number of open connections is refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tailwart.edge.image import DIRECTORY
from tailwart.hosts import templates
from tailwart.hosts.files import HostFile, pending
from tailwart.hosts.packages import SETTLE
from tailwart.hosts.report import HostReport, Probe
from tailwart.hosts.watch import Watch

TABLE = "tailwart_door"
RULES = f"{DIRECTORY}/door.nft"
UNIT = "tailwart-door.service"
_UNIT_FILE = f"/etc/systemd/system/{UNIT}"
# Of the one chain: the sets hold an element for each address, and who asks for the table gets them all.
_LOADED = f"nft list chain inet {TABLE} input 2>/dev/null | sed -n 's/.*comment \"{TABLE} \\([0-9a-f]*\\)\".*/\\1/p'"
_PROBE = f"""printf 'tool=%s\\n' "$(command -v nft)"
printf 'loaded=%s\\n' "$({_LOADED})"
printf 'unit=%s\\n' "$(systemctl is-enabled {UNIT} 2>/dev/null)"
:"""

_UNIT = f"""# Written by the deploy; changes made here are lost.
[Unit]
Description=Limits per client address at the mail edge
After=nftables.service tailwart-firewall.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {RULES}
ExecStop=-/usr/sbin/nft delete table inet {TABLE}

[Install]
WantedBy=multi-user.target
"""

INSTALL = f"{SETTLE}apt update; apt --no-install-recommends install nftables"
START = f"systemctl daemon-reload && systemctl enable {UNIT} && systemctl restart {UNIT} 2>&1"
REMOVE = f"systemctl disable --now {UNIT} 2>/dev/null; rm -f {_UNIT_FILE} {RULES}; systemctl daemon-reload"


@dataclass(frozen=True, slots=True)
class Door:
    """What one client address may have at the ``ports``: open connections, new ones a minute; 0 is no limit."""

    ports: tuple[int, ...]
    connections: int = 0
    rate: int = 0

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return bool(self.ports and (self.connections or self.rate))

    @property
    def files(self) -> tuple[HostFile, ...]:
        """The rules and the unit that loads them at boot."""
        return (HostFile(RULES, self._rules(self.digest)), HostFile(_UNIT_FILE, _UNIT)) if self.limited else ()

    @property
    def digest(self) -> str:
        """Of the rules; it stands in what the kernel has loaded, as a comment."""
        return hashlib.sha256(self._rules("").encode()).hexdigest()[:16]

    @property
    def watch(self) -> Watch:
        """The facts; part of the `Watch` of the role."""
        return Watch(paths=(RULES, _UNIT_FILE), probes=(("door", _PROBE),))

    def _rules(self, digest: str) -> str:
        return templates.render(
            "edge/door.nft.j2",
            table=TABLE,
            digest=digest,
            ports=", ".join(map(str, self.ports)),
            connections=self.connections,
            rate=self.rate,
            # Half a minute's worth at once: a mail program opens several connections when it starts.
            burst=max(self.rate // 2, 5),
        )


def drift(door: Door, report: HostReport) -> list[str]:
    """Why the limits must be changed, in the operator's words; empty when they are up to date."""
    facts = _facts(report)
    if not door.limited:
        there = facts.get("loaded") or RULES in report.paths
        return ["the limits per client address are removed"] if there else []
    if changed := [f"{file.path} changes" for file in pending(report, door.files)[0]]:
        return changed
    if facts.get("loaded") != door.digest:
        return ["the limits per client address are not loaded"]
    return [] if facts.get("unit") == "enabled" else [f"{UNIT} would not be started at boot"]


def needs_nft(report: HostReport) -> bool:
    """Whether the program that loads the rules is missing."""
    return not _facts(report).get("tool")


def _facts(report: HostReport) -> dict[str, str]:
    text = report.probes.get("door", Probe(1, b"")).output.decode(errors="replace")
    return dict(line.partition("=")[::2] for line in text.splitlines())
