"""What is wrong with `stalwart_objects`: each fault with file, line, object and field, all of them in one error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tailwart.errors import TailwartError
from tailwart.stalwart.objects.lines import Lines

_FILE = "group_data/mailbox.py"


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake, in a field of the object at a place of the mapping: kind, and name where a kind has many objects.

    `text` never holds a value that may be secret.
    """

    place: tuple[str, ...]
    text: str
    field: tuple[str, ...] = ()

    def message(self, lines: Lines) -> str:
        """`group_data/mailbox.py:12: MtaMilter spam, field port: …`."""
        line = lines.of((*self.place, *self.field))
        title = " ".join(self.place) or "stalwart_objects"
        field = f", field {'/'.join(self.field)}" if self.field else ""
        return f"{_FILE}{f':{line}' if line else ''}: {title}{field}: {self.text}"


def refuse(faults: Sequence[Fault], lines: Lines) -> None:
    """Raises one TailwartError that names every fault; nothing when there is none."""
    found = [*faults, *(Fault(path, "stands twice; the second one would win") for path, _ in lines.duplicates)]
    if not found:
        return
    found.sort(key=lambda fault: lines.of((*fault.place, *fault.field)) or 0)
    count = f"{len(found)} mistakes" if len(found) > 1 else "a mistake"
    raise TailwartError(
        f"stalwart_objects has {count}; nothing was written",
        seen="\n".join(dict.fromkeys(fault.message(lines) for fault in found)),
        remedy=f"correct {_FILE}; `tailwart settings describe KIND` shows the fields of a kind",
    )
