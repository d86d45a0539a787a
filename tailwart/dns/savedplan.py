"""A plan in a file: made and read now, applied later exactly as it was read, or refused because the zone has moved."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tailwart.dns.desired import is_acme
from tailwart.dns.ownership import Ledger
from tailwart.dns.zoneplan import ZonePlan
from tailwart.errors import TailwartError
from tailwart.plan import Action, Change, FieldChange, Plan, to_json
from tailwart.providers.definition import Provider
from tailwart.providers.record import GENERATED, Record

_KIND = "tailwart dns plan"
_VERSION = 1


def state(records: Iterable[Record]) -> str:
    """A digest of a zone's records: another one as soon as any record or TTL is another.

    Left out are the names that Stalwart writes for ACME whenever it likes, and what servers generate themselves.
    """
    lines = sorted(
        json.dumps([entry.name, entry.type, entry.value, entry.ttl])
        for entry in records
        if entry.type not in GENERATED and not is_acme(entry.name)
    )
    return hashlib.sha256("\n".join(lines).encode("ascii")).hexdigest()


def save(path: Path, plans: Iterable[ZonePlan], provider: str) -> None:
    """Write the plans (0600, whole or not at all). Raises `TailwartError` when the file cannot be written."""
    document = {
        "kind": _KIND,
        "version": _VERSION,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "provider": provider,
        "zones": [_zone(plan) for plan in plans],
    }
    try:
        descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp: mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                json.dump(document, file, indent=1)
                file.write("\n")
            Path(partial).replace(path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise TailwartError(
            f"the plan cannot be written to {path}", seen=error.strerror or type(error).__name__
        ) from None


def load(path: Path, provider: Provider, zones: tuple[str, ...]) -> dict[str, ZonePlan]:
    """The saved plans for ``zones``, on the zones as they are now.

    Raises `TailwartError` for a file that is no plan or one for other zones, and when a zone is not what it was.
    """
    document = _read(path)
    if document.get("provider") != provider.label:
        raise TailwartError(
            f"{path} is a plan for another provider", seen=str(document.get("provider")), expected=provider.label
        )
    saved = {str(entry["zone"]): entry for entry in document["zones"]}
    if unknown := sorted(set(saved) - set(zones)):
        raise TailwartError(
            f"{path} is a plan for other zones",
            seen=", ".join(unknown),
            expected=", ".join(zones),
            remedy="apply it where it was made, or name the zone: --zone DOMAIN",
        )
    live = {zone: provider.read(zone) for zone in saved}
    if moved := [zone for zone in saved if state(live[zone]) != saved[zone]["state"]]:
        raise TailwartError(
            f"the zone {', '.join(moved)} has moved since the plan of {document['made']}: nothing was written",
            seen="records that are not those the plan was made for",
            expected=f"the zone as {path} knows it",
            remedy=f"read a new plan: `tailwart dns plan --out {path}`; what changed: `tailwart dns diff`",
        )
    try:
        return {zone: _plan(entry, live[zone]) for zone, entry in saved.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(path, type(error).__name__) from None


def _zone(plan: ZonePlan) -> dict[str, Any]:
    return {
        "zone": plan.zone,
        "state": state(plan.live),
        "puts": [_record(entry) for entry in plan.puts],
        "deletes": [_record(entry) for entry in plan.deletes],
        "managed": plan.managed,
        "lost": [_record(entry) for entry in plan.lost],
        "foreign": [_record(entry) for entry in plan.foreign],
        "ours": {
            "records": sorted(map(list, plan.ours.records)),
            "spf": {name: list(terms) for name, terms in sorted(plan.ours.spf.items())},
            "others": sorted(map(list, plan.ours.others)),
        },
        "complete": plan.complete,
        "plan": to_json(plan.plan),
    }


def _plan(entry: Mapping[str, Any], live: tuple[Record, ...]) -> ZonePlan:
    ours, shown = entry["ours"], entry["plan"]
    changes = tuple(
        Change(
            Action(change["action"]),
            change["kind"],
            change["name"],
            tuple(FieldChange(field["path"], field["old"], field["new"]) for field in change["fields"]),
            change["why"],
        )
        for change in shown["changes"]
    )
    return ZonePlan(
        zone=str(entry["zone"]),
        live=tuple(sorted(live)),
        puts=_records(entry["puts"]),
        deletes=_records(entry["deletes"]),
        managed=int(entry["managed"]),
        lost=_records(entry["lost"]),
        foreign=_records(entry["foreign"]),
        ours=Ledger(
            _keys(ours["records"]),
            {str(name): tuple(map(str, terms)) for name, terms in ours["spf"].items()},
            _keys(ours["others"]),
        ),
        plan=Plan(shown["plane"], changes, tuple(shown["unmanaged"]), tuple(shown["warnings"])),
        complete=bool(entry["complete"]),
    )


def _record(entry: Record) -> list[Any]:
    return [entry.name, entry.type, entry.value, entry.ttl, entry.locked]


def _records(entries: list[list[Any]]) -> tuple[Record, ...]:
    return tuple(
        Record(str(name), str(rtype), str(value), int(ttl), bool(locked)) for name, rtype, value, ttl, locked in entries
    )


def _keys(entries: list[list[str]]) -> frozenset[tuple[str, str, str]]:
    return frozenset((str(name), str(rtype), str(value)) for name, rtype, value in entries)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="ascii"))
    except OSError as error:
        raise TailwartError(f"{path} cannot be read", seen=error.strerror or type(error).__name__) from None
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, type(error).__name__) from None
    if not isinstance(document, dict) or document.get("kind") != _KIND or document.get("version") != _VERSION:
        raise _unreadable(path, "another file")
    zones = document.get("zones")
    if not isinstance(zones, list) or not all(
        isinstance(each, dict) and "zone" in each and "state" in each for each in zones
    ):
        raise _unreadable(path, "a plan without zones")
    return {"made": "an unknown time", **document}


def _unreadable(path: Path, seen: str) -> TailwartError:
    return TailwartError(
        f"{path} is no saved plan",
        seen=seen,
        expected="a file that `tailwart dns plan --out` of this release wrote",
        remedy=f"make a new one: `tailwart dns plan --out {path}`",
    )
