"""A provider in memory, records appended by value as Spaceship does: for properties over many random zones."""

from __future__ import annotations

from collections.abc import Iterable

from tailwart.providers.record import Key, Record, by_key


class Memory:
    """`Provider`; every state that the zone goes through is kept, and it can die at any step."""

    label = "memory"
    keeps_strings = True
    nameservers: tuple[str, ...] = ()

    def __init__(self, records: Iterable[Record]) -> None:
        self.records: dict[Key, Record] = by_key(records)
        self.history = [dict(self.records)]
        self.steps_left: int | None = None

    def read(self, zone: str) -> tuple[Record, ...]:
        """All records."""
        return tuple(self.records.values())

    def change(self, zone: str, puts: Iterable[Record], deletes: Iterable[Record]) -> None:
        """One record after the other, puts first."""
        for entry in puts:
            self._step()
            self.records[entry.key] = entry
            self.history.append(dict(self.records))
        for entry in deletes:
            self._step()
            del self.records[entry.key]
            self.history.append(dict(self.records))

    def _step(self) -> None:
        if self.steps_left == 0:
            raise InterruptedError("killed here")
        if self.steps_left is not None:
            self.steps_left -= 1
