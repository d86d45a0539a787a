"""Files from one host to another through this machine, as one stream of tar: neither host has to reach the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from paramiko import Channel

from tailwart.connectors.shell import SshRunner
from tailwart.connectors.ssh import CONNECTION_ERRORS
from tailwart.errors import TailwartError
from tailwart.migration import trees

_CHUNK = 1 << 18
Count = Callable[[int], None]
"""Is told the bytes that were sent so far."""


def _nobody(_: int) -> None:
    return


def send(
    source: SshRunner,
    target: SshRunner,
    folders: tuple[str, str],
    paths: Sequence[str],
    *,
    count: Count = _nobody,
    vanishing: bool = False,
) -> None:
    """Copy these paths below the first folder into the second, with owner, mode and time; raises `TailwartError`.

    With ``vanishing``, files may go while they are read: those of a server that is at work.
    """
    if not paths:
        return
    reads, writes = trees.packing(folders[0], vanishing=vanishing), trees.unpacking(folders[1])
    try:
        with source.stream(reads) as reader, target.stream(writes) as writer:
            taken = _pump(reader, writer, "".join(f"{path}\0" for path in paths).encode(), count)
            sides = [("writing", writer), *([("reading", reader)] if taken and not vanishing else [])]
            problems = [f"{name}: {said or 'no message'}" for name, side in sides if (said := _end(side)) is not None]
    except CONNECTION_ERRORS as error:
        problems = [str(error) or type(error).__name__]
    if problems:
        raise TailwartError(
            f"{folders[0]} could not be copied to the new host",
            seen="\n".join(problems),
            expected="a connection to both hosts that lasts, and room on the new one",
            remedy="fix the error above, then run this again: what was copied is not sent twice",
        )


def _pump(reader: Channel, writer: Channel, names: bytes, count: Count) -> bool:
    """Whether the writing side took everything."""

    def ask() -> None:
        reader.sendall(names)
        reader.shutdown_write()

    # In a thread of its own: the other side may fill its output before it has read all names.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    sent = 0
    while chunk := reader.recv(_CHUNK):
        try:
            writer.sendall(chunk)
        except OSError:
            # It has ended early, and says why.
            return False
        sent += len(chunk)
        count(sent)
    writer.shutdown_write()
    asking.join(60)
    return True


def _end(channel: Channel) -> str | None:
    """What the program said when it failed; None when it ended well."""
    said = channel.makefile_stderr("rb").read().decode("utf-8", "replace")
    return None if channel.recv_exit_status() == 0 else "\n".join(str(said).strip().splitlines()[-3:])
