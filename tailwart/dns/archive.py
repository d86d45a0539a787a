"""Snapshots of zones and the ledger of what was published, in `_backup/dns/` (0700, files 0600)."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dns.exception

from tailwart.dns.ownership import Ledger
from tailwart.errors import TailwartError
from tailwart.providers.record import Record, absolute, to_rdata

DIRECTORY = Path("_backup/dns")
_VERSION = 1
_OTHERWISE = "choose another snapshot, or remove the file"
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, dns.exception.DNSException)
_NAME = re.compile(r"\d{8}T\d{6}(?:\.\d{6})?Z\.json\Z")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole zone at one moment, foreign and locked records included."""

    zone: str
    taken: datetime
    records: tuple[Record, ...]
    path: Path


class Archive:
    """One directory a zone. Files appear whole or not at all, so a killed run leaves no half of one."""

    def __init__(self, directory: Path = DIRECTORY, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._directory = directory
        self._now = now

    def save(self, zone: str, records: Iterable[Record]) -> Path:
        """Write a snapshot and return its path."""
        taken = self._now()
        path = self._zone(zone) / f"{taken:%Y%m%dT%H%M%S.%f}Z.json"
        document = {
            "version": _VERSION,
            "zone": zone,
            "taken": taken.isoformat(),
            "records": [_document(entry) for entry in sorted(records)],
        }
        _write(path, document)
        return path

    def snapshots(self, zone: str) -> list[Path]:
        """The snapshots of a zone, oldest first."""
        directory = self._directory / zone
        return sorted(path for path in directory.glob("*.json") if _NAME.match(path.name)) if directory.is_dir() else []

    def load(self, zone: str, which: str | Path | None = None) -> Snapshot:
        """A snapshot by path or file name, the newest without one. Raises `TailwartError` when there is none."""
        path = self._find(zone, which)
        document = _read(path)
        try:
            if document["zone"] != zone:
                raise TailwartError(f"{path} is no snapshot of {zone}", seen=str(document["zone"])[:80], expected=zone)
            records = tuple(_record(entry, zone) for entry in document["records"])
            return Snapshot(zone, datetime.fromisoformat(document["taken"]), records, path)
        except _UNREADABLE as error:
            raise TailwartError(
                f"{path} cannot be read as a snapshot",
                seen=f"{type(error).__name__}: {str(error)[:120]}",
                expected="a file that `tailwart dns snapshot` or an apply wrote",
                remedy="choose another one: `tailwart dns snapshot --list`",
            ) from error

    def ledger(self, zone: str) -> Ledger:
        """What earlier runs published; empty when nothing is known."""
        path = self._directory / zone / "published"
        if not path.exists():
            return Ledger()
        document = _read(path)
        try:
            return Ledger(
                frozenset((_text(name), _text(rtype), _text(value)) for name, rtype, value in document["records"]),
                {_text(name): tuple(map(_text, terms)) for name, terms in document["spf"].items()},
            )
        except _UNREADABLE as error:
            raise TailwartError(
                f"{path} cannot be read",
                seen=type(error).__name__,
                remedy=f"remove {path}: records that are no longer desired then stay until you delete them",
            ) from error

    def remember(self, zone: str, ledger: Ledger) -> None:
        """Keep the ledger; nothing is written when it says the same already."""
        path = self._zone(zone) / "published"
        document = {
            "version": _VERSION,
            "records": sorted(list(key) for key in ledger.records),
            "spf": {name: sorted(terms) for name, terms in sorted(ledger.spf.items())},
        }
        if not path.exists() or _read(path) != document:
            _write(path, document)

    def _find(self, zone: str, which: str | Path | None) -> Path:
        if which is None:
            found = self.snapshots(zone)
            if not found:
                raise TailwartError(
                    f"there is no snapshot of {zone}",
                    seen=f"{self._directory / zone} is empty or missing",
                    remedy="`tailwart dns snapshot` takes one; every apply does so by itself",
                )
            return found[-1]
        for path in (Path(which), self._directory / zone / Path(which).name):
            if path.is_file():
                return path
        raise TailwartError(
            f"there is no snapshot {which}",
            expected=", ".join(path.name for path in self.snapshots(zone)[-5:]) or "one taken before",
            remedy="`tailwart dns snapshot --list` names them",
        )

    def _zone(self, zone: str) -> Path:
        directory = self._directory / zone
        directory.mkdir(parents=True, exist_ok=True)
        for part in (self._directory.parent, self._directory, directory):
            if part.name:
                part.chmod(0o700)
        return directory


def _document(entry: Record) -> dict[str, Any]:
    document = {
        "name": entry.name,
        "type": entry.type,
        "value": entry.value,
        "ttl": entry.ttl,
        "locked": entry.locked,
    }
    return {**document, "cuts": list(entry.cuts)} if entry.cuts else document


def _record(document: dict[str, Any], zone: str) -> Record:
    """A record as `_document` wrote it, and as DNS can hold it; somebody may have edited the file."""
    name, rtype, value = (_text(document[member]) for member in ("name", "type", "value"))
    ttl, locked, cuts = document["ttl"], document.get("locked", False), document.get("cuts", [])
    if isinstance(ttl, bool) or not isinstance(ttl, int) or not 0 <= ttl < 2**31:
        raise ValueError(f"ttl of {name} {rtype} is {ttl!r:.40}")
    if not isinstance(locked, bool) or not all(isinstance(cut, int) for cut in cuts):
        raise ValueError(f"locked or cuts of {name} {rtype}")
    entry = Record(name, rtype, value, ttl, locked, tuple(cuts))
    if entry.is_dns and not locked:
        to_rdata(entry, zone)
        absolute(name, zone)
    return entry


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _write(path: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=True) + "\n"
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")  # mkstemp: mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError, RecursionError) as error:
        raise TailwartError(f"{path} cannot be read", seen=type(error).__name__, remedy=_OTHERWISE) from error
    if not isinstance(document, dict):
        raise TailwartError(f"{path} cannot be read", seen="no JSON object", remedy=_OTHERWISE)
    return document
