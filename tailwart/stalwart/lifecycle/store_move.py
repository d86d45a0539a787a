"""The data store moves: embedded to PostgreSQL or back, with every key and value compared before anything is switched.

`stalwart --export` writes the old store while the server is stopped, so that senders are refused a connection and try
again later. The import is the work of an earlier release: that of the present one refuses every store, because it has
written its own lease by then. A second export, of the new store and by the present release, must be the first one byte
for byte, but for the spaces in which a process keeps notes of itself. Only then does the mailbox change over. The old
store is kept. A run that dies anywhere leaves the mailbox on its old store; the next one goes on.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tailwart import releases
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.mailbox import names
from tailwart.mailbox.datastore import Place
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import probing
from tailwart.stalwart.lifecycle.one_off import NEW, OLD, OneOff

_TYPES = ("data", "registry", "blob", "changelog", "queue", "report", "telemetry", "tasks")
STOPPING = "stopping Stalwart: senders are refused a connection and try again later"
OWN_NOTES = frozenset({"b", "f", "g", "m", "s", "y"})
"""Spaces of the registry, of tasks and of what is in memory: a process writes its own lease there at every start."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One move. ``bodies``: message bodies are in the data store and move with it; else they stay in their bucket."""

    source: Place
    target: Place
    version: str
    bodies: bool

    def message(self) -> str:
        """For the terminal, before anything happens."""
        bodies = "message bodies move with it" if self.bodies else "message bodies stay in their bucket"
        return f"{self.source.name} → {self.target.name}; {bodies}; the mailbox is stopped meanwhile, senders try again"


def check(plan: Plan, importer: str) -> None:
    """Raises `TailwartError` where no way is known that keeps everything, before anything is touched."""
    if plan.source == plan.target:
        raise TailwartError(
            "the mailbox is on that store already",
            seen=plan.source.name,
            remedy="set STALWART_STORE (and STALWART_DB_…) in .env to where the mail is to move, then run this again",
        )
    if plan.source.kind == plan.target.kind:
        raise TailwartError(
            f"no move from {plan.source.name} to {plan.target.name}",
            seen="both are of one kind",
            expected="embedded to PostgreSQL, or back",
            remedy="`pg_dump -Fc` and `pg_restore` move PostgreSQL with everything, search included",
        )
    check_releases(plan.version, importer)


def check_releases(version: str, importer: str) -> None:
    """Raises `TailwartError` where nobody has measured that the one imports what the other exports."""
    if not releases.exports_known(version) or releases.find(importer) != releases.IMPORTER:
        raise TailwartError(
            "no safe way is known for this pair of releases",
            seen=f"Stalwart {version or 'of an unknown version'} exports, {importer} would import",
            expected=f"0.16.{releases.SUPPORTED.oldest} to 0.16.{releases.SUPPORTED.default}, imported by "
            f"{releases.IMPORTER}",
            remedy=f"set STALWART_IMAGE to {releases.DEFAULT_IMAGE} and STALWART_IMPORTER_IMAGE to "
            f"{releases.IMPORTER_IMAGE}, deploy, then run this again",
        )


def compared(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The spaces that differ although nothing but the move may have changed them; one that is missing differs."""
    spaces = {name for name in {**before, **after} if name.rpartition("_")[2] not in OWN_NOTES}
    return sorted(name for name in spaces if before.get(name) != after.get(name))


@dataclass(slots=True)
class StoreMove:
    """One move on one mailbox host.

    ``files`` are those of the mailbox with the new store. ``empty`` says whether the new store holds nothing, ``wipe``
    empties what an earlier attempt has left there. ``switch`` brings the mailbox up with the new store's files.
    """

    run: Runner
    plan: Plan
    importer: str
    files: tuple[HostFile, ...] = field(repr=False)
    empty: Callable[[], bool]
    wipe: Callable[[], None]
    switch: Callable[[], None]
    log: Callable[[str], None]

    def execute(self) -> None:
        """Move, compare, change over; raises `TailwartError`, with the mailbox on its old store again."""
        one_off = OneOff(self.run, self.importer)
        state = one_off.state()
        begun = bool(state) and state.get("target") == self.plan.target.name
        if not begun and not self.empty():
            raise TailwartError(
                f"{self.plan.target.name} is not empty, and was left as it is",
                seen="tables or files of somebody, or of an earlier installation",
                expected="an empty store: an import puts its part between what is there",
                remedy="another STALWART_DB_NAME, or remove what is there when nobody needs it",
            )
        exported = begun and state.get("exported") == one_off.stopped_since() != ""
        if exported:
            # Of a stopped server nobody can ask where its bodies are; the export was made by what was known then.
            self.plan = replace(self.plan, bodies=state.get("bodies") == "inside")
        one_off.prepare(self.files)
        try:
            if not exported:
                self._export_old(one_off)
            self._import_new(one_off)
            self._prove(one_off)
        except BaseException:
            # Interrupted or refused: mail must not wait for somebody to look.
            one_off.start()
            raise
        self._change_over(one_off)

    @property
    def _types(self) -> list[str]:
        return [each for each in _TYPES if each != "blob" or self.plan.bodies]

    def _export_old(self, one_off: OneOff) -> None:
        target = {"target": self.plan.target.name}
        one_off.note(target)
        self.log(STOPPING)
        one_off.stop()
        self.log(f"exporting {self.plan.source.name}")
        one_off.export(OLD, "export", self._types)
        bodies = "inside" if self.plan.bodies else "outside"
        one_off.note({**target, "exported": one_off.stopped_since(), "bodies": bodies})

    def _import_new(self, one_off: OneOff) -> None:
        self.wipe()
        self.log(f"importing into {self.plan.target.name} with {self.importer}")
        one_off.import_into(NEW, "export")

    def _prove(self, one_off: OneOff) -> None:
        self.log("exporting the new store, and comparing")
        one_off.export(NEW, "proof", self._types)
        before, after = one_off.digests("export"), one_off.digests("proof")
        differing = compared(before, after)
        if differing or not before:
            raise TailwartError(
                "the new store does not hold what the old one holds; the mailbox stays on the old one",
                seen=f"differing: {', '.join(differing) or 'nothing was exported'}",
                expected="every key and value of messages, bodies, folders, queue and accounts",
                remedy=f"keep {names.MOVE} on the mailbox host for a report; the old store is as it was",
            )
        same = [name for name in before if name.rpartition("_")[2] not in OWN_NOTES]
        self.log(f"equal by SHA-256: {len(same)} of {len(before)} spaces; the others hold a process's own notes")

    def _change_over(self, one_off: OneOff) -> None:
        self.switch()
        probing.wait_until_live(self.run, names.BASE)
        if self.plan.source.kind == "RocksDb":
            self._keep_embedded(one_off)
        one_off.remove()

    def _keep_embedded(self, one_off: OneOff) -> None:
        """Under another name, so that a later way back finds room."""
        inside = 'cd /var/lib/stalwart; mkdir -p kept; for each in *; do [ "$each" = kept ] || mv "$each" kept/; done'
        script = f"docker exec {names.CONTAINER} sh -c {shlex.quote(inside)}"
        one_off.checked(self.run(script, timeout=120), "put the old store aside")
