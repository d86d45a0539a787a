"""Whether a secret ever stands in a process's arguments, seen from the machine that runs all lab hosts."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType


class ArgumentWatch:
    """Samples the command lines of every process, those inside the lab's containers included, until it is left.

    ``seen`` names the programs that were caught with one of the secrets.
    """

    def __init__(self, secrets: frozenset[str]) -> None:
        self.seen: set[str] = set()
        self._secrets = [secret.encode() for secret in secrets if len(secret) >= 8]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ArgumentWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    self._check(process)

    def _check(self, process: Path) -> None:
        try:
            line = (process / "cmdline").read_bytes()
        except OSError:
            return  # the process has ended
        if any(secret in line for secret in self._secrets):
            self.seen.add(line.split(b"\0", 1)[0].decode(errors="replace"))
