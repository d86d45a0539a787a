"""What every host has beside its role: the code of its deploy, clock, disks, memory, a reboot that is due. Pure.

The checks of a role's book call these; each role enters them under its own name.
"""

from __future__ import annotations

from datetime import datetime

from tailwart.checks import revision
from tailwart.checks.model import Book, CannotLook, Facts, Found, Severity
from tailwart.checks.revision import Code
from tailwart.environment import Environment
from tailwart.hosts.report import HostReport

PROBE = "host"
SCRIPT = r"""
echo "clock $(date +%s.%N)"
awk '/^MemAvailable:/ { print "memory", $2 * 1024 }' /proc/meminfo
for path in / /var/lib/docker /var/lib/postgresql; do
  df -Pk "$path" 2>/dev/null | awk -v path="$path" 'NR == 2 { print "disk", path, $4 * 1024, $5 + 0 }'
done
[ ! -f /run/reboot-required ] || echo "reboot $(tr '\n' ' ' 2>/dev/null </run/reboot-required.pkgs)"
"""
"""The output of the probe: a word and its values in each line; bytes, and per cent in use."""

PROBES = ((PROBE, SCRIPT), (revision.PROBE, revision.SCRIPT))
"""What is asked of every host."""

LEAST_DISK = 512 * 1024**2
FULL = 90
LEAST_MEMORY = 64 * 1024**2
_SKEW = 5.0


class HostFacts:
    """The facts of one host. ``asked`` and ``answered`` are this machine's times around the question."""

    environment: Environment
    report: HostReport
    asked: datetime
    answered: datetime
    code: Code | None

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        raise NotImplementedError

    def probe(self, name: str) -> str:
        """The output of one probe; raises `CannotLook` where it was not run or failed."""
        result = self.report.probes.get(name)
        if result is None:
            raise CannotLook(f"the host was not asked for {name}")
        text = result.output.decode(errors="replace")
        if result.exit_code != 0:
            raise CannotLook(f"{name} cannot be read (exit code {result.exit_code}) {text[-200:]}".strip())
        return text

    def lines(self, word: str, what: str = "") -> list[list[str]]:
        """The lines of `SCRIPT` that begin with ``word``, without it; `CannotLook` without any if there must be one."""
        rows = (line.split() for line in self.probe(PROBE).splitlines())
        found = [row[1:] for row in rows if row and row[0] == word]
        if what and not found:
            raise CannotLook(f"the host did not say {what}")
        return found


def enter(book: Book[Facts]) -> None:
    """Enter the checks of a host into the book of its role, whose facts are `HostFacts`."""
    for add in (_revision, _clock, _disk, _memory, _reboot):
        add(book)


def _revision(book: Book[Facts]) -> None:
    @book.check(
        "revision",
        "The code of this checkout is deployed",
        cause="It was changed, pulled or switched since the last deploy; or another checkout has deployed.",
        remedy="git status; then pyinfra inventory.py deploy.py",
        severity=Severity.RECOMMENDED,
    )
    def _(facts: Facts) -> Found:
        assert isinstance(facts, HostFacts)
        if facts.code is None:
            raise CannotLook("the checkout was not looked at")
        yield from revision.found(facts.code, facts.name, facts.probe(revision.PROBE))


def _clock(book: Book[Facts]) -> None:
    @book.check(
        "clock",
        "The host's clock is right",
        cause="Without time synchronisation certificates, DKIM signatures and logins fail.",
        remedy="apt install systemd-timesyncd && timedatectl set-ntp true (on the host)",
    )
    def _(facts: Facts) -> Found:
        assert isinstance(facts, HostFacts)
        then = float(facts.lines("clock", "its time")[0][0])
        behind, ahead = facts.asked.timestamp() - then, then - facts.answered.timestamp()
        if max(behind, ahead) > _SKEW:
            yield f"it is {max(behind, ahead):.0f} s {'behind' if behind > ahead else 'ahead of'} this machine's"


def _disk(book: Book[Facts]) -> None:
    @book.check(
        "disk",
        "There is room on the disks",
        cause="A full disk stops the store, the log and the engine.",
        remedy="docker system df; journalctl --vacuum-size=200M (on the host); or a larger disk",
    )
    def _(facts: Facts) -> Found:
        assert isinstance(facts, HostFacts)
        for path, free, used in facts.lines("disk", "how full its disks are"):
            if int(used) >= FULL or int(free) < LEAST_DISK:
                yield f"{path} is {used} % full, {int(free) // 1024**2} MiB are free"


def _memory(book: Book[Facts]) -> None:
    @book.check(
        "memory",
        "There is memory left",
        cause="The kernel ends the largest process, which is the one that carries the mail.",
        remedy="stop what else runs there, or a larger host; STALWART_MEMORY and EDGE_MEMORY bound ours",
        severity=Severity.RECOMMENDED,
    )
    def _(facts: Facts) -> Found:
        assert isinstance(facts, HostFacts)
        available = int(facts.lines("memory", "how much memory it has")[0][0])
        if available < LEAST_MEMORY:
            yield f"{available // 1024**2} MiB are available"


def _reboot(book: Book[Facts]) -> None:
    @book.check(
        "no-reboot-due",
        "No reboot is due",
        cause="A security update of the kernel or of a library counts from the next start on.",
        remedy="reboot (on the host), at a time of your choice: senders hold the mail meanwhile",
        severity=Severity.RECOMMENDED,
    )
    def _(facts: Facts) -> Found:
        assert isinstance(facts, HostFacts)
        yield from (f"for {' '.join(row) or 'an update'}" for row in facts.lines("reboot"))
