"""The data store moves: embedded to PostgreSQL or back, with every key and value compared before anything is switched.

`stalwart --export` writes the old store while the server is stopped, so that senders are refused a connection and try
again later. The import is the work of an earlier release: that of the present one refuses every store, because it has
written its own lease by then. A second export, of the new store and by the present release, must be the first one byte
for byte, but for the spaces in which a process keeps notes of itself. Only then does the mailbox change over. The old
store is kept. A run that dies anywhere leaves the mailbox on its old store; the next one goes on.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tailwart import releases
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.mailbox import names
from tailwart.mailbox.datastore import Place
from tailwart.operations import hostfiles
from tailwart.runner import Completed, Runner
from tailwart.stalwart.lifecycle import probing

WORK = f"{names.DIRECTORY}/store-move"
_STATE = f"{WORK}/state.json"
_TARGET = f"{WORK}/target"
_RUN = "run --rm --no-deps -T --volume {work}:/move --entrypoint env stalwart"
_TYPES = ("data", "registry", "blob", "changelog", "queue", "report", "telemetry", "tasks")
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
    if not releases.exports_known(plan.version) or releases.find(importer) != releases.IMPORTER:
        raise TailwartError(
            "no safe way is known for this pair of releases",
            seen=f"Stalwart {plan.version or 'of an unknown version'} exports, {importer} would import",
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
        state = self._state()
        begun = bool(state) and state.get("target") == self.plan.target.name
        if not begun and not self.empty():
            raise TailwartError(
                f"{self.plan.target.name} is not empty, and was left as it is",
                seen="tables or files of somebody, or of an earlier installation",
                expected="an empty store: an import puts its part between what is there",
                remedy="another STALWART_DB_NAME, or remove what is there when nobody needs it",
            )
        exported = begun and state.get("exported") == self._stopped_since() != ""
        if exported:
            # Of a stopped server nobody can ask where its bodies are; the export was made by what was known then.
            self.plan = replace(self.plan, bodies=state.get("bodies") == "inside")
        self._prepare()
        try:
            if not exported:
                self._export_old()
            self._import_new()
            self._prove()
        except BaseException:
            # Interrupted or refused: mail must not wait for somebody to look.
            self.run(f"docker start {names.CONTAINER}", timeout=120)
            raise
        self._change_over()

    def _prepare(self) -> None:
        moved = [
            HostFile(f"{_TARGET}{file.path.removeprefix(names.DIRECTORY)}", file.data, file.mode, file.secret)
            for file in self.files
            if file.path.startswith(f"{names.DIRECTORY}/")
        ]
        override = json.dumps({"services": {"stalwart": {"image": self.importer}}}, indent=2)
        self._checked(self.run(f"mkdir -p -m 0700 {WORK} && mkdir -p {_TARGET}/join", timeout=60), "make room")
        hostfiles.write(self.run, [*moved, HostFile(f"{_TARGET}/importer.json", override)])

    def _export_old(self) -> None:
        self._note()
        self.log("stopping Stalwart: senders are refused a connection and try again later")
        self._checked(self.run(f"docker stop --time 60 {names.CONTAINER}", timeout=180), "stop Stalwart")
        self.log(f"exporting {self.plan.source.name}")
        self._stalwart(names.DIRECTORY, "--export", "export")
        self._note(exported=self._stopped_since(), bodies="inside" if self.plan.bodies else "outside")

    def _import_new(self) -> None:
        self.wipe()
        self.log(f"importing into {self.plan.target.name} with {self.importer}")
        self._stalwart(_TARGET, "--import", "export", importing=True)

    def _prove(self) -> None:
        self.log("exporting the new store, and comparing")
        self._stalwart(_TARGET, "--export", "proof")
        before, after = self._digests("export"), self._digests("proof")
        differing = compared(before, after)
        if differing or not before:
            raise TailwartError(
                "the new store does not hold what the old one holds; the mailbox stays on the old one",
                seen=f"differing: {', '.join(differing) or 'nothing was exported'}",
                expected="every key and value of messages, bodies, folders, queue and accounts",
                remedy=f"keep {WORK} on the mailbox host for a report; the old store is as it was",
            )
        same = [name for name in before if name.rpartition("_")[2] not in OWN_NOTES]
        self.log(f"equal by SHA-256: {len(same)} of {len(before)} spaces; the others hold a process's own notes")

    def _change_over(self) -> None:
        self.switch()
        probing.wait_until_live(self.run, names.BASE)
        if self.plan.source.kind == "RocksDb":
            self._keep_embedded()
        self._checked(self.run(f"rm -rf {WORK}", timeout=300), "remove the export")

    def _keep_embedded(self) -> None:
        """Under another name, so that a later way back finds room."""
        inside = 'cd /var/lib/stalwart; mkdir -p kept; for each in *; do [ "$each" = kept ] || mv "$each" kept/; done'
        script = f"docker exec {names.CONTAINER} sh -c {shlex.quote(inside)}"
        self._checked(self.run(script, timeout=120), "put the old store aside")

    def _stalwart(self, directory: str, option: str, folder: str, *, importing: bool = False) -> None:
        """The program of the mailbox's image, or of the importer's, once and alone, on the store of ``directory``."""
        files = "--file compose.yaml" + (" --file importer.json" if importing else "")
        compose = f"docker compose --project-name {names.PROJECT} {files} {_RUN.format(work=WORK)}"
        types = [each for each in _TYPES if each != "blob" or self.plan.bodies]
        server = f"-u CONFIG_PATH EXPORT_TYPES={','.join(types)} stalwart --config /etc/stalwart/config.json"
        owner = f"docker compose --project-name {names.PROJECT} {files} {_RUN.format(work=WORK)} sh -c 'id -u; id -g'"
        path = f"{WORK}/{folder}"
        own = f"rm -rf {path}; mkdir -m 0700 {path}; " if option == "--export" else ""
        script = (
            f'set -eu; cd {directory}; {own}set -- $({owner}); chown -R "$1:$2" {path}; chmod 0711 {WORK}; '
            f"timeout 7200 {compose} {server} {option} /move/{folder} 2>&1"
        )
        result = self.run(script, timeout=7300)
        if not result.ok:
            raise TailwartError(
                f"Stalwart's {option} failed; the mailbox stays on its old store",
                seen="\n".join((result.stdout + result.stderr).strip().splitlines()[-6:]),
                remedy="fix the error above, then run `tailwart store move` again",
            )

    def _digests(self, folder: str) -> dict[str, str]:
        done = self.run(f"cd {WORK}/{folder} && find . -type f -exec sha256sum {{}} +", timeout=3600)
        pairs = (line.split(maxsplit=1) for line in done.stdout.splitlines() if done.ok)
        return {path.removeprefix("./"): digest for digest, path in pairs}

    def _stopped_since(self) -> str:
        """When Stalwart ended; empty while it runs."""
        form = shlex.quote("{{if not .State.Running}}{{.State.FinishedAt}}{{end}}")
        return self.run(f"docker inspect --format {form} {names.CONTAINER}", timeout=60).stdout.strip()

    def _state(self) -> dict[str, str]:
        done = self.run(f"cat {_STATE} 2>/dev/null", timeout=60)
        try:
            found = json.loads(done.stdout)
        except ValueError:
            return {}
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def _note(self, **more: str) -> None:
        text = json.dumps({"target": self.plan.target.name, **more})
        hostfiles.write(self.run, [HostFile(_STATE, text, "0600")])

    def _checked(self, result: Completed, doing: str) -> None:
        if not result.ok:
            raise TailwartError(
                f"could not {doing} on the mailbox host",
                seen="\n".join(result.stderr.strip().splitlines()[-3:]) or "no message",
                remedy="look at `docker ps` and `df -h` on the host, then run this again",
            )
