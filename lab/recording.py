"""`make recording`: `make demo` as a recording for asciinema (version 2 of its file format: JSON lines).

    python -m lab.recording docs/demo.cast python -m lab.demo

What the command prints goes to the terminal and, without the machine's own paths and long pauses, into the file.
"""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lab import paths

WIDTH, HEIGHT = 120, 34
LONGEST_PAUSE = 1.5
"""Seconds: a deploy of a minute is not watched for a minute."""


def record(
    command: Sequence[str],
    file: Path,
    names: Sequence[tuple[str, str]],
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Run a command in a terminal of its own and write what it printed; returns its exit code.

    ``names`` are texts and what stands for them in the file.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(command[0], list(command))  # noqa: S606 - the command of whoever runs this, without a shell
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    with file.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps({"version": 2, "width": WIDTH, "height": HEIGHT, "title": "make demo"}) + "\n")
        at, last = 0.0, clock()
        for lines in _lines(terminal):
            now = clock()
            at, last = at + min(now - last, LONGEST_PAUSE), now
            stream.write(json.dumps([round(at, 3), "o", _named(lines, names)], ensure_ascii=False) + "\n")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _lines(terminal: int) -> Iterator[str]:
    """What the terminal shows, whole lines as they come: a name in it is never cut."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    held = ""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            data = b""
        held += decoder.decode(data, final=not data)
        end = max(held.rfind("\n"), held.rfind("\r")) + 1 if data else len(held)
        if end:
            sys.stdout.write(held[:end])
            sys.stdout.flush()
            yield held[:end]
            held = held[end:]
        if not data:
            return


def _named(text: str, names: Sequence[tuple[str, str]]) -> str:
    for name, instead in names:
        text = re.sub(rf"{re.escape(name)}(?![\w.-])", instead, text)
    return text


def main() -> int:
    """Record the command of the arguments."""
    file, *command = sys.argv[1:]
    names = (
        (str(paths.state()), "~/.local/state/tailwart/lab"),
        (str(paths.PROJECT), "~/tailwart"),
        (str(Path.home()), "~"),
    )
    return record(command, Path(file), names)


if __name__ == "__main__":
    sys.exit(main())
