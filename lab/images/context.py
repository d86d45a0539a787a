"""Build contexts: which files an image is made of, their hash, and the archive that the engine reads."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lab import paths, programs
from lab.images import Spec

_SKIPPED = {"__pycache__", ".mypy_cache", ".pytest_cache"}


@dataclass(frozen=True)
class Context:
    """Files by their path in the context. ``keys`` names contents that are known by more than their bytes."""

    files: Mapping[str, Path]
    texts: Mapping[str, bytes] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    def digest(self, *ingredients: str) -> str:
        """12 hex digits of everything that decides the image, parent and build arguments included."""
        total = hashlib.sha256(repr(ingredients).encode())
        for name in sorted({*self.files, *self.texts}):
            executable = name in self.files and bool(self.files[name].stat().st_mode & 0o100)
            total.update(f"{name}\0{executable}\0".encode())
            total.update(self._content_hash(name))
        return total.hexdigest()[:12]

    def _content_hash(self, name: str) -> bytes:
        if name in self.keys:
            # A binary's cache key says what went into it; hashing 300 MB at every start says no more.
            return self.keys[name].encode()
        content = self.texts[name] if name in self.texts else self.files[name].read_bytes()
        return hashlib.sha256(content).digest()

    def on(self, parent: str) -> Context:
        """The same context with a Dockerfile that begins at exactly this image.

        In the tree its FROM line names the parent without a tag. A tag that moves would let two checkouts, building at
        the same time, put their images on each other's.
        """
        text = self.files["Dockerfile"].read_text()
        pinned = re.sub(r"(?m)^FROM .*$", f"FROM {parent}", text, count=1)
        files = {name: path for name, path in self.files.items() if name != "Dockerfile"}
        return Context(files, {**self.texts, "Dockerfile": pinned.encode()}, self.keys)

    def write(self, stream: IO[bytes]) -> None:
        """The context as a tar archive owned by root, whoever runs the lab."""
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
            for name, path in sorted(self.files.items()):
                archive.add(path, name, recursive=False, filter=_owned_by_root)
            for name, content in sorted(self.texts.items()):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                entry.mode = 0o644
                archive.addfile(entry, io.BytesIO(content))


def of(spec: Spec, texts: Mapping[str, bytes] | None = None, extra: Mapping[str, Path] | None = None) -> Context:
    """The image's own directory, its sources from elsewhere in the project, and its programs below `programs/`."""
    files = dict(_walk(spec.directory, ""))
    for target, source in spec.sources:
        files |= dict(_walk(paths.PROJECT / source, f"{target}/"))
    keys = {}
    for name in spec.programs:
        files[f"programs/{name}"] = programs.binary(name)
        keys[f"programs/{name}"] = programs.owner(name).key
    return Context({**files, **(extra or {})}, texts or {}, keys)


def _walk(directory: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(directory.rglob("*")):
        relative = path.relative_to(directory)
        if path.is_file() and not _SKIPPED & set(relative.parts):
            yield f"{prefix}{relative}", path


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = 0
    # The checkout's umask must not decide who may read a configuration file inside an image.
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry
