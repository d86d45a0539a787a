"""What the provider holds against what a plan says: before the write, whether the plan is still true; after it, whether
the change arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tailwart.dns.desired import is_acme
from tailwart.dns.zoneplan import ZonePlan
from tailwart.errors import TailwartError
from tailwart.providers.definition import Notify, Provider
from tailwart.providers.record import GENERATED, Key, Record, by_key

SECONDS = 60.0
"""How long the provider's own reading may lag behind its writing: a server that signs a copy, an API with a cache."""
_FIRST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Clock:
    """How time passes; tests have their own."""

    now: Callable[[], float]
    pause: Callable[[float], None]


def unmoved(plan: ZonePlan, now: Iterable[Record]) -> ZonePlan:
    """The plan on the zone as it is now, just before the write.

    Raises `TailwartError` when somebody has changed a name that the plan touches since it was made: another run from
    another machine, a person at the console, the mail server. What changed elsewhere stays out of it.
    """
    live = tuple(sorted(now))
    touched = {entry.name for entry in (*plan.puts, *plan.deletes)}
    before, after = _state(plan.live, touched), _state(live, touched)
    if before != after:
        moved = sorted({entry[:2] for entry in before ^ after})
        raise TailwartError(
            f"{plan.zone} has moved since the plan was made; nothing was written",
            seen=", ".join(f"{name} {rtype}" for name, rtype in moved[:6]) + (", …" if len(moved) > 6 else ""),
            expected="these names as they were when the plan read them",
            remedy="another run or person changes this zone: run again, it plans on what is there now",
        )
    return replace(plan, live=live)


def read_back(plan: ZonePlan, provider: Provider, snapshot: Path, notify: Notify, clock: Clock) -> None:
    """Read the zone until it shows the change, `SECONDS` at most; raise `TailwartError` for what differs then."""
    end, pause = clock.now() + SECONDS, _FIRST_PAUSE
    while True:
        after = tuple(provider.read(plan.zone))
        if not _lags(plan, after) or clock.now() + pause > end:
            break
        if pause == _FIRST_PAUSE:
            notify(f"{plan.zone}: {provider.label} does not show the change yet; reading again")
        clock.pause(pause)
        pause = min(2 * pause, 8.0)
    verify(plan, after, snapshot)


def verify(plan: ZonePlan, after: Iterable[Record], snapshot: Path) -> None:
    """Compare what the provider holds now with what the plan said, and stop at any difference (lesson 13)."""
    expected, found = plan.expected, by_key(after)
    put = {entry.key for entry in plan.puts}
    removed = _relevant(set(expected) - set(found))
    added = _relevant(set(found) - set(expected))
    changed = _relevant(key for key in put & set(found) if expected[key].ttl != found[key].ttl)
    if not (removed or added or changed):
        return
    parts = [
        f"REMOVED {_names(removed)}" if removed else "",
        f"ADDED {_names(added)}" if added else "",
        f"TTL {_names(changed)}" if changed else "",
    ]
    raise TailwartError(
        f"{plan.zone} is not what the plan said after the change",
        seen="; ".join(part for part in parts if part),
        expected=f"{len(expected)} records, found {len(found)}",
        lesson=13,
        remedy=f"read `tailwart dns plan`; somebody else may have edited the zone. From before: {snapshot} "
        "(`tailwart dns restore`). Running again goes on from what is there",
    )


def _lags(plan: ZonePlan, after: Iterable[Record]) -> bool:
    """Whether anything of the change itself is not to be seen yet."""
    found = by_key(after)
    gone = {entry.key for entry in plan.deletes} & found.keys()
    return bool(gone) or any(entry.key not in found or found[entry.key].ttl != entry.ttl for entry in plan.puts)


def _state(records: Iterable[Record], names: set[str]) -> set[tuple[str, str, str, int]]:
    return {
        (*entry.key, entry.ttl)
        for entry in records
        if entry.name in names and not is_acme(entry.name) and entry.type not in GENERATED
    }


def _relevant(keys: Iterable[Key]) -> list[Key]:
    """Differences that matter: Stalwart writes its ACME names whenever it likes, and servers what they generate."""
    return sorted(key for key in keys if not is_acme(key[0]) and key[1] not in GENERATED)


def _names(keys: list[Key]) -> str:
    shown = [str(Record(*key)) for key in keys[:6]]
    return ", ".join(shown) + (f" and {len(keys) - 6} more" if len(keys) > 6 else "")
