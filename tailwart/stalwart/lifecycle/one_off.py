"""Stalwart as a process of its own on the mailbox host, while the server is stopped: export, import, recovery mode.

It is the container of the mailbox's Compose project under another name: the same image, volume, secrets and network.
`OLD` are the files that the mailbox runs with, `NEW` those of the settings to come, beside them.
"""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.mailbox import names
from tailwart.operations import hostfiles
from tailwart.runner import Completed, Runner
from tailwart.stalwart.lifecycle import probing
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, login

OLD = names.DIRECTORY
NEW = f"{names.MOVE}/target"
_CONTAINER = f"{names.CONTAINER}-move"
_RECOVERY = f"{names.MOVE}/recovery.env"
_SECONDS = 7200
_ADMINISTRATOR = "admin"


class OneOff:
    """One process after the other; a container that a killed run has left behind is removed before the next."""

    def __init__(self, run: Runner, importer: str) -> None:
        self._run = run
        self._importer = importer

    def prepare(self, files: Sequence[HostFile]) -> None:
        """Write the files of the mailbox with the settings to come; those that run are left alone."""
        moved = [
            HostFile(f"{NEW}{file.path.removeprefix(OLD)}", file.data, file.mode, file.secret)
            for file in files
            if file.path.startswith(f"{OLD}/")
        ]
        overrides = {"importer": {"image": self._importer}, "recovery": {"env_file": [_RECOVERY]}}
        beside = [
            HostFile(f"{names.MOVE}/{name}.json", json.dumps({"services": {"stalwart": service}}, indent=2))
            for name, service in overrides.items()
        ]
        self.checked(self._run(f"mkdir -p -m 0700 {names.MOVE} && mkdir -p {NEW}/join", timeout=60), "make room")
        hostfiles.write(self._run, [*moved, *beside])

    def remove(self) -> None:
        """Remove everything that the move has written beside the mailbox."""
        self.checked(self._run(f"rm -rf {names.MOVE}", timeout=300), "remove the export")

    def stop(self) -> None:
        """Stop the server; from now on senders are refused a connection."""
        self.checked(self._run(f"docker stop --time 60 {names.CONTAINER}", timeout=180), "stop Stalwart")

    def start(self) -> None:
        """Start the server as it was."""
        self._run(f"docker start {names.CONTAINER}", timeout=120)

    def stopped_since(self) -> str:
        """When the server ended; empty while it runs."""
        form = shlex.quote("{{if not .State.Running}}{{.State.FinishedAt}}{{end}}")
        return self._run(f"docker inspect --format {form} {names.CONTAINER}", timeout=60).stdout.strip()

    def export(self, directory: str, folder: str, types: Sequence[str]) -> None:
        """``folder`` holds what the store of these files holds, of these types."""
        self._stalwart(directory, "--export", folder, folder, types=types)

    def import_into(self, directory: str, folder: str, file: str = "") -> None:
        """The store of these files gets what ``folder`` holds, or one of its files, by the release that imports."""
        self._stalwart(directory, "--import", folder, f"{folder}/{file}" if file else folder, override="importer")

    def digests(self, folder: str) -> dict[str, str]:
        """Each file of an export with its SHA-256."""
        done = self._run(f"cd {names.MOVE}/{folder} && find . -type f -exec sha256sum {{}} +", timeout=3600)
        pairs = (line.split(maxsplit=1) for line in done.stdout.splitlines() if done.ok)
        return {path.removeprefix("./"): digest for digest, path in pairs}

    def size(self, folder: str) -> int:
        """Bytes of an export."""
        done = self._run(f"cat {names.MOVE}/{folder}/* | wc -c", timeout=600)
        return int(done.stdout.strip() or 0) if done.ok else 0

    @contextmanager
    def recovery(self, directory: str) -> Iterator[Client]:
        """The server in recovery mode with these files: it answers on 8080 and nothing else, and touches no mail."""
        password = secrets.token_hex(24)
        content = f"{names.ENV_RECOVERY_MODE}=1\n{names.ENV_RECOVERY_ADMIN}={_ADMINISTRATOR}:{password}\n"
        hostfiles.write(self._run, [HostFile(_RECOVERY, content, "0600", secret=True)])
        try:
            start = f"{_compose('recovery')} run --detach --no-deps --name {_CONTAINER} stalwart"
            self.checked(self._run(f"{_begin(directory)}{start}", timeout=300), "start Stalwart in recovery mode")
            probing.wait_until_live(self._run, names.BASE, _CONTAINER)
            yield Client(
                ContainerTransport(self._run, login(_ADMINISTRATOR, password), base=names.BASE, container=_CONTAINER)
            )
        finally:
            self._run(f"rm -f {_RECOVERY}; docker stop --time 60 {_CONTAINER}; {_GONE}", timeout=180)

    def shell(self, directory: str) -> str:
        """The beginning of a command that runs a script in a container with these files; the script follows."""
        return f"{_begin(directory)}{_run()} --entrypoint sh stalwart -c"

    def state(self) -> dict[str, str]:
        """What an earlier run has noted."""
        done = self._run(f"cat {names.MOVE_STATE} 2>/dev/null", timeout=60)
        try:
            found = json.loads(done.stdout)
        except ValueError:
            return {}
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def note(self, state: Mapping[str, str]) -> None:
        """What the next run has to know if this one dies."""
        hostfiles.write(self._run, [HostFile(names.MOVE_STATE, json.dumps(state), "0600")])

    def checked(self, result: Completed, doing: str) -> None:
        """Raises `TailwartError` for a command that failed."""
        if not result.ok:
            raise TailwartError(
                f"could not {doing} on the mailbox host",
                seen="\n".join(result.stderr.strip().splitlines()[-3:]) or "no message",
                remedy="look at `docker ps` and `df -h` on the host, then run this again",
            )

    def _stalwart(
        self, directory: str, option: str, folder: str, argument: str, *, types: Sequence[str] = (), override: str = ""
    ) -> None:
        exporting = f"EXPORT_TYPES={','.join(types)} " if types else ""
        server = f"-u CONFIG_PATH {exporting}stalwart --config /etc/stalwart/config.json {option} /move/{argument}"
        path = f"{names.MOVE}/{folder}"
        own = f"rm -rf {path}; mkdir -m 0700 {path}; " if option == "--export" else ""
        # The program is not root in its container: what it reads and writes there belongs to it.
        owner = f"{_run(override)} --entrypoint sh stalwart -c 'id -u; id -g'"
        script = (
            f'{_begin(directory)}{own}set -- $({owner}); chown -R "$1:$2" {path}; chmod 0711 {names.MOVE}; '
            f"timeout {_SECONDS} {_run(override)} --volume {names.MOVE}:/move --entrypoint env stalwart {server} 2>&1"
        )
        result = self._run(script, timeout=_SECONDS + 100)
        if not result.ok:
            raise TailwartError(
                f"Stalwart's {option} failed; the mailbox stays on its old store",
                seen="\n".join((result.stdout + result.stderr).strip().splitlines()[-6:]),
                remedy="fix the error above, then run `tailwart store move` again",
            )


_GONE = f"docker rm --force {_CONTAINER} >/dev/null 2>&1 || :"


def _begin(directory: str) -> str:
    return f"set -eu; cd {directory}; {_GONE}; "


def _compose(override: str = "") -> str:
    more = f" --file {names.MOVE}/{override}.json" if override else ""
    return f"docker compose --project-name {names.PROJECT} --file compose.yaml{more}"


def _run(override: str = "") -> str:
    return f"{_compose(override)} run --rm --no-deps -T --name {_CONTAINER}"
