"""Who reaches whom: measured from every node to every target port, and compared with the policy.

One SSH connection and one script per node, all its probes at once. A refused connection counts as reached: the packet
filter let it through. A port that the policy closes answers nothing, and a node without any grant is not even visible
by name.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from tailwart.errors import TailwartError
from tailwart.tailnet.access import rules, selectors
from tailwart.tailnet.policy import Policy

PROBE_SECONDS = 3
# The first packet to a peer may be lost while the two are still agreeing on keys.
ATTEMPTS = 2


class Outcome(StrEnum):
    """The result of one probe. REFUSED means that the packet filter let it through; UNKNOWN that it could not run."""

    OPEN = "open"
    REFUSED = "refused"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Target:
    """A port of a node. ``node`` is the node that serves it, so that it is not probed from itself."""

    label: str
    node: str
    address: str
    tags: tuple[str, ...]
    port: int

    def __str__(self) -> str:
        return f"{self.label}:{self.port}"


# Runs a POSIX shell script somewhere and returns its output.
Run = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Source:
    """A node to probe from: its tags, and how to run a script in its network namespace."""

    node: str
    tags: tuple[str, ...]
    run: Run


@dataclass(frozen=True, slots=True)
class Cell:
    """One measured connection, and whether the policy allows it."""

    source: str
    target: Target
    allowed: bool
    outcome: Outcome

    @property
    def agrees(self) -> bool:
        """Whether the measurement matches the policy; false when it is UNKNOWN."""
        return self.outcome is not Outcome.UNKNOWN and self.allowed == (self.outcome is not Outcome.CLOSED)


def measure(policy: Policy, sources: Sequence[Source], targets: Sequence[Target]) -> tuple[Cell, ...]:
    """Probe every target from every source, all at the same time. A source that fails gives UNKNOWN, no error."""
    if not sources:
        return ()
    with ThreadPoolExecutor(len(sources)) as pool:
        rows = pool.map(lambda source: _row(policy, source, targets), sources)
    return tuple(cell for row in rows for cell in row)


def allowed(policy: Policy, sources: Iterable[str], target: Target) -> bool:
    """Whether the rules of a policy allow a connection from a node with the tags ``sources`` to the target."""
    if policy.acls.node is None and policy.grants.node is None:
        return True  # a file without either section allows everything
    resolve = selectors(policy)
    known = list(rules(policy))
    return any(
        resolve.opens(rule, source, tag, target.port) for rule in known for source in sources for tag in target.tags
    )


def _row(policy: Policy, source: Source, targets: Sequence[Target]) -> list[Cell]:
    others = [target for target in targets if target.node != source.node]
    expected = [allowed(policy, source.tags, target) for target in others]
    try:
        output = source.run(script(others, expected))
    except (TailwartError, TimeoutError):
        output = ""
    outcomes = parse(output)
    return [
        Cell(source.node, target, open_way, outcomes.get(index, Outcome.UNKNOWN))
        for index, (target, open_way) in enumerate(zip(others, expected, strict=True))
    ]


def script(targets: Sequence[Target], expected: Sequence[bool]) -> str:
    """A POSIX script that probes all targets at once and prints `INDEX OUTCOME` lines.

    A target that the policy allows (``expected``) gets a second attempt. Busybox' nc makes the
    probes in the sidecar, bash's /dev/tcp on a bare Debian.
    """
    probes = "\n".join(
        f"probe {index} {shlex.quote(target.address)} {target.port} {ATTEMPTS if open_way else 1} &"
        for index, (target, open_way) in enumerate(zip(targets, expected, strict=True))
    )
    return f"""
grep -q tailscale0 /proc/net/dev || exit 0 # not on the tailnet: nothing to measure
dial() {{
    if command -v nc >/dev/null 2>&1; then nc -z -v -w {PROBE_SECONDS} "$1" "$2"
    else timeout {PROBE_SECONDS} bash -c "exec 3<>/dev/tcp/$1/$2"
    fi
}}
probe() {{
    tries=0
    while [ "$tries" -lt "$4" ]; do
        if said=$(dial "$2" "$3" 2>&1); then echo "$1 open"; return; fi
        case $said in *[Rr]efused*) echo "$1 refused"; return;; esac
        tries=$((tries + 1))
    done
    echo "$1 closed"
}}
{probes}
wait
"""


def parse(output: str) -> Mapping[int, Outcome]:
    """The outcomes that a script printed, by the index of the target; other lines are ignored."""
    found = {}
    for line in output.splitlines():
        index, _, outcome = line.partition(" ")
        if index.isdecimal() and outcome in (Outcome.OPEN, Outcome.REFUSED, Outcome.CLOSED):
            found[int(index)] = Outcome(outcome)
    return found


def table(cells: Sequence[Cell]) -> str:
    """The matrix as text: one row per target, one column per source; `(!)` marks what contradicts the policy."""
    sources = list(dict.fromkeys(cell.source for cell in cells))
    targets = list(dict.fromkeys(cell.target for cell in cells))
    found = {(cell.source, cell.target): cell for cell in cells}
    first = max((len(str(target)) for target in targets), default=0)
    widths = [max(len(source), 10) for source in sources]
    lines = ["  ".join([" " * first, *(source.ljust(width) for source, width in zip(sources, widths, strict=True))])]
    for target in targets:
        row = [str(target).ljust(first)]
        for source, width in zip(sources, widths, strict=True):
            row.append(_shown(found.get((source, target))).ljust(width))
        lines.append("  ".join(row))
    return "\n".join(line.rstrip() for line in lines)


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    return cell.outcome.value + ("" if cell.agrees else " (!)")
