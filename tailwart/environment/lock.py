"""`images.lock`, beside the `.env`: the digests of what hosts run, so that a tag that moves changes no host.

`tailwart images lock` writes the images; the deploy itself adds Caddy's binary when it meets it for the first time, and
refuses another one of the same kind later. The file may be committed: it holds no secret.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tailwart.errors import TailwartError

NAME = "images.lock"


@dataclass(frozen=True, slots=True)
class Binary:
    """A Caddy that was trusted: the SHA-256 of its file, and the version that it calls itself."""

    sha256: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """``images``: image with its tag → digest (``sha256:…``). ``caddy``: architecture and modules → binary."""

    images: Mapping[str, str] = field(default_factory=dict)
    caddy: Mapping[str, Binary] = field(default_factory=dict)

    def pinned(self, image: str) -> str:
        """The image by its digest where one is known; one that names a digest stays as it is."""
        digest = self.images.get(image)
        return f"{image}@{digest}" if digest else image


def beside(environment_path: Path) -> Path:
    """The lock file of the installation whose `.env` this is."""
    return environment_path.parent / NAME


def read(path: Path) -> Lock:
    """The lock; an empty one where there is no file. Raises `TailwartError` for a file that cannot be understood."""
    try:
        document = json.loads(path.read_text())
        images = {str(name): str(digest) for name, digest in document.get("images", {}).items()}
        caddy = {str(kind): Binary(**one) for kind, one in document.get("caddy", {}).items()}
    except FileNotFoundError:
        return Lock()
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise TailwartError(
            f"{path} cannot be understood",
            seen=str(error),
            expected="the JSON that `tailwart images lock` writes",
            remedy=f"take the file from before, or remove {path} and run `tailwart images lock`",
        ) from None
    return Lock(images, caddy)


def update(path: Path, change: Callable[[Lock], Lock]) -> Lock:
    """Read, change and write the lock, alone: two hosts of one run, or two runs, may want to add to it.

    Raises `TailwartError` where it cannot be written.
    """
    try:
        guard = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            before = read(path)
            after = change(before)
            if after != before:
                new = path.with_name(f".{path.name}.new")
                new.write_text(_text(after))
                new.replace(path)
        finally:
            os.close(guard)
    except OSError as error:
        raise TailwartError(
            f"{path} cannot be written",
            seen=error.strerror or type(error).__name__,
            expected="a folder of the .env that can be written: what hosts run is noted there",
            remedy=f"make {path.parent} writable for the user of this run, then run again",
        ) from None
    return after


def trust(path: Path, kind: str, binary: Binary, *, accepted: bool = False) -> None:
    """Remember a Caddy that is met for the first time; ``accepted`` also in another's place.

    Raises `TailwartError` when the one that is known is another.
    """

    def remember(lock: Lock) -> Lock:
        known = lock.caddy.get(kind)
        if known is not None and known.sha256 != binary.sha256 and not accepted:
            raise _another(path, known, binary)
        return replace(lock, caddy={**lock.caddy, kind: binary})

    update(path, remember)


def _text(lock: Lock) -> str:
    document: dict[str, Any] = {
        "images": dict(sorted(lock.images.items())),
        "caddy": {kind: {"sha256": one.sha256, "version": one.version} for kind, one in sorted(lock.caddy.items())},
    }
    return json.dumps(document, indent=2) + "\n"


def _another(path: Path, known: Binary, binary: Binary) -> TailwartError:
    return TailwartError(
        "the downloaded Caddy is not the one that this installation trusts; what served before still does",
        seen=f"SHA-256 {binary.sha256}, {binary.version or 'no version'}",
        expected=f"SHA-256 {known.sha256}, {known.version or 'no version'} ({path})",
        remedy="the service builds anew when Caddy or Go has a release: compare from another network, then accept "
        f"it with CADDY_SHA256={binary.sha256} in .env, or by removing the old entry from {path}",
    )
