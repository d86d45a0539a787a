"""What a private dockerd leaves in the machine's packet filter, taken back when it stops.

dockerd sets the FORWARD policy to DROP, switches forwarding on and keeps its chains: on a machine that had no engine
before, that would outlive the lab until the next boot.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

from lab import paths
from lab.engine.install import which

_FAMILIES = ("iptables", "ip6tables")
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def remember(file: Path) -> None:
    """Note the filter's state before dockerd starts; a note of an unfinished run stays the truth."""
    if not file.is_file():
        noted = {family: _dump(family) for family in _FAMILIES}
        paths.write_private(file, json.dumps({**noted, "forwarding": _FORWARDING.read_text()}).encode())


def restore(file: Path) -> None:
    """Take back what dockerd has added since `remember`; rules of anybody else are left alone."""
    if not file.is_file():
        return
    noted = json.loads(file.read_text())
    for family in _FAMILIES:
        for words in undo(noted[family], _dump(family)):
            subprocess.run([family, "--wait", *words], capture_output=True, check=False)
    if _FORWARDING.read_text() != noted["forwarding"]:
        _FORWARDING.write_text(noted["forwarding"])
    file.unlink()


def undo(before: str, after: str) -> list[list[str]]:
    """Arguments for iptables that undo Docker's part of the difference between two dumps of iptables-save.

    Rules first, because a chain that is still referred to cannot be deleted.
    """
    old, rules, chains, policies = set(_lines(before)), [], [], []
    for table, line in _lines(after):
        if (table, line) in old:
            continue
        words = shlex.split(line)
        if words[0] == "-A" and not words[1].startswith("DOCKER") and ("DOCKER" in line or "docker0" in line):
            rules.append(["-t", table, "-D", *words[1:]])
        elif words[0].startswith(":DOCKER"):
            chains.append(["-t", table, "-F", words[0][1:]])
            policies.append(["-t", table, "-X", words[0][1:]])
        elif words[0] == ":FORWARD":
            policy = next((line.split()[1] for t, line in old if t == table and line.startswith(":FORWARD ")), "ACCEPT")
            policies.append(["-t", table, "-P", "FORWARD", policy])
    # Every chain is emptied before the first is deleted: they refer to one another.
    return [*rules, *chains, *policies]


def _lines(dump: str) -> list[tuple[str, str]]:
    """(table, line) without comments and packet counters."""
    table, found = "", []
    for line in dump.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith((":", "-A")):
            found.append((table, line.partition(" [")[0]))
    return found


def _dump(family: str) -> str:
    if which(f"{family}-save") is None:
        return ""
    return subprocess.run([f"{family}-save"], capture_output=True, text=True, check=False).stdout
