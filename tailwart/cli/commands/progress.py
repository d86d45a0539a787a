"""How far long work is: a bar on a terminal, lines where there is none."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tailwart.printing import overwrite, say

_PERCENT = re.compile(r"^(?P<what>.*): (?P<percent>\d+) %(?P<amount> \(.*\))?$")
_WIDTH = 24


@contextmanager
def shown(terminal: bool | None = None) -> Iterator[Callable[[str], None]]:
    """What is told of the work is printed on standard error, by its stages; `uploading: 45 % (1.2 GB of 2.6 GB)` is a
    bar on a terminal, and else a line for every tenth.
    """
    lines = _Lines(sys.stderr.isatty() if terminal is None else terminal)
    try:
        yield lines.tell
    finally:
        lines.end()


class _Lines:
    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal
        self._open = ""
        self._tenths: dict[str, int] = {}

    def tell(self, text: str) -> None:
        found = _PERCENT.match(text)
        if found is None:
            self.end()
            say(f"… {text}", err=True)
            return
        what, percent = found["what"], min(int(found["percent"]), 100)
        if self._terminal:
            if self._open not in ("", what):
                self.end()
            self._open = what
            done = percent * _WIDTH // 100
            overwrite(f"… {what} [{'#' * done}{'.' * (_WIDTH - done)}] {percent:>3} %{found['amount'] or ''}")
        elif self._tenths.get(what) != percent // 10:
            self._tenths[what] = percent // 10
            say(f"… {text}", err=True)

    def end(self) -> None:
        """What is printed next begins on a line of its own."""
        if self._open:
            say(err=True)
        self._open = ""
