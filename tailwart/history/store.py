"""The records on the operator's machine: one folder a deploy, below the state directory (0700, files 0600).

    ~/.local/state/tailwart/history/DOMAIN/000012/record.json     what changed
                                                  inputs.json     .env without secrets, images.lock, group data
                                                  rendered.json   the files of every host, without secrets

A folder appears whole or not at all. The newest are kept, the older ones go.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tailwart.connectors.turn import state_directory
from tailwart.errors import TailwartError
from tailwart.history.inputs import Inputs
from tailwart.history.record import Deploy, parse, to_json
from tailwart.history.rendered import Texts

KEEP = 100


class Store:
    """The history of one installation, by its domain."""

    def __init__(self, domain: str, directory: Path | None = None) -> None:
        self.directory = (directory or state_directory() / "history") / domain

    def add(self, deploy: Deploy, inputs: Inputs, rendered: Texts) -> Deploy:
        """Keep a deploy; returns it with its number. Raises `OSError`."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        while True:
            stored = replace(deploy, number=max(self._numbers(), default=0) + 1)
            new = Path(tempfile.mkdtemp(dir=self.directory, prefix=".new-"))  # mode 0700
            try:
                _write(new / "record.json", to_json(stored))
                _write(new / "inputs.json", asdict(inputs))
                _write(new / "rendered.json", rendered)
                # Another run may have taken the number meanwhile: a folder with content is not replaced.
                new.rename(self._folder(stored.number))
            except BaseException as error:
                shutil.rmtree(new, ignore_errors=True)
                if isinstance(error, OSError) and self._folder(stored.number).exists():
                    continue
                raise
            break
        for number in self._numbers()[:-KEEP]:
            shutil.rmtree(self._folder(number), ignore_errors=True)
        return stored

    def all(self) -> list[Deploy]:
        """Every deploy, oldest first; one that cannot be read is passed over."""
        found = []
        for number in self._numbers():
            try:
                found.append(parse(_read(self._folder(number) / "record.json")))
            except TailwartError:
                continue
        return found

    def find(self, which: str) -> Deploy:
        """A deploy by its number, or the newest of a revision. Raises `TailwartError` when there is none."""
        known = self.all()
        for deploy in reversed(known):
            if which == str(deploy.number) or (len(which) >= 4 and deploy.revision and _same(deploy.revision, which)):
                return deploy
        listed = ", ".join(f"{one.number} ({one.code})" for one in known[-5:]) or "none"
        raise TailwartError(
            f"there is no deploy {which} in the history of this machine",
            seen=f"{self.directory}: {listed}",
            expected="a number or a revision that `tailwart history` shows",
            remedy="tailwart history",
        )

    def inputs(self, deploy: Deploy) -> Inputs:
        """What that deploy was made from."""
        document = _read(self._folder(deploy.number) / "inputs.json")
        try:
            return Inputs(
                dict(document["settings"]),
                tuple(document["secrets"]),
                dict(document["files"]),
                tuple(document["withheld"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise TailwartError(
                f"the inputs of deploy {deploy.number} cannot be understood", seen=type(error).__name__
            ) from None

    def rendered(self, deploy: Deploy) -> dict[str, dict[str, str]]:
        """The files of every host as that deploy rendered them."""
        return {host: dict(files) for host, files in _read(self._folder(deploy.number) / "rendered.json").items()}

    def _numbers(self) -> list[int]:
        if not self.directory.is_dir():
            return []
        return sorted(int(path.name) for path in self.directory.iterdir() if path.name.isdecimal())

    def _folder(self, number: int) -> Path:
        return self.directory / f"{number:06}"


def _same(revision: str, which: str) -> bool:
    return revision.startswith(which) or which.startswith(revision)


def _write(path: Path, document: Any) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, ensure_ascii=True)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TailwartError(f"{path} cannot be read", seen=type(error).__name__) from None
    if not isinstance(document, dict):
        raise TailwartError(f"{path} cannot be read", seen="no JSON object")
    return document
