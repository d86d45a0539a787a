"""The docker command line as a small typed object. Works with 20.10 and with a present-day engine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tailwart.errors import TailwartError


@dataclass(frozen=True)
class Docker:
    """An engine that answers. ``socket`` is empty for the machine's own."""

    socket: str = ""
    run_flags: tuple[str, ...] = field(default=(), compare=False)

    @property
    def environment(self) -> dict[str, str]:
        """Variables a command needs to speak to this engine."""
        # The classic builder is the one builder that every engine has; BuildKit may be absent or a separate package.
        extra = {"DOCKER_BUILDKIT": "0", "DOCKER_CLI_HINTS": "false"}
        if self.socket:
            extra |= {"DOCKER_HOST": self.socket, "DOCKER_CONTEXT": ""}
        return {**os.environ, **extra}

    def run(
        self,
        *arguments: str,
        stdin: bytes | IO[bytes] | None = None,
        check: bool = True,
        timeout: float | None = None,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `docker …`. Output is captured, or appended to ``log`` for steps with much of it.

        Raises TailwartError with the command's last words when it fails and ``check`` is set.
        """
        command = ["docker", *arguments]
        options: dict[str, Any] = {"env": {**self.environment, **(environment or {})}, "timeout": timeout}
        if isinstance(stdin, bytes):
            options["input"] = stdin
        else:
            options["stdin"] = stdin if stdin is not None else subprocess.DEVNULL
        try:
            if log is not None:
                with log.open("ab") as stream:
                    result = subprocess.run(command, stdout=stream, stderr=stream, check=False, **options)
            else:
                result = subprocess.run(command, capture_output=True, check=False, **options)
        except subprocess.TimeoutExpired as error:
            raise TailwartError(f"docker {arguments[0]} did not end within {timeout:g} s") from error
        if check and result.returncode != 0:
            words = log.read_bytes() if log is not None else result.stderr or result.stdout
            raise TailwartError(
                f"docker {arguments[0]} failed (exit code {result.returncode})",
                seen=_tail(words),
                remedy=f"the whole output is in {log}" if log is not None else "",
            )
        return result

    def text(self, *arguments: str) -> str:
        return self.run(*arguments).stdout.decode().strip()

    def lines(self, *arguments: str) -> list[str]:
        return [line for line in self.text(*arguments).splitlines() if line]

    def inspect(self, kind: str, *names: str) -> list[dict[str, Any]]:
        """Documents of those that exist; absent names are skipped."""
        result = self.run(kind, "inspect", *names, check=False)
        documents: list[dict[str, Any]] = json.loads(result.stdout or b"[]")
        return documents

    def has_image(self, reference: str) -> bool:
        return self.run("image", "inspect", "--format", "ok", reference, check=False).returncode == 0


def exec_arguments(
    container: str, command: Sequence[str], *, stdin: bool = False, variables: Sequence[str] = ()
) -> list[str]:
    """Arguments of `docker exec`. ``variables`` are passed on by name, so that no value is in an argument list."""
    passed = [part for name in variables for part in ("--env", name)]
    return ["exec", *(["--interactive"] if stdin else []), *passed, container, *command]


def _tail(output: bytes, lines: int = 15) -> str:
    return "\n".join(output.decode(errors="replace").strip().splitlines()[-lines:])
