"""This run's turn to change a host or a plane; where another run has it, who that is.

On a host the turn is a lock that a script there holds as long as this run gives signs of life (`tailwart.hosts.turn`);
for a plane it is a lock on this machine. Between machines the mailbox's turn keeps whole runs apart, and the API itself
refuses what was planned on an older state.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from paramiko import Channel, SSHException
from pyinfra.api.command import QuoteString, StringCommand

from tailwart.connectors import sudo
from tailwart.connectors.host import ConnectionLost, HostConnector, collect
from tailwart.errors import TailwartError
from tailwart.hosts.turn import BEAT, CHANGE, LEASE, RECENT, hold

PATIENCE = 600
"""Seconds; TAILWART_WAIT overrides them, and 0 is to say who has the turn at once."""
_POLL = 0.5

RUN = uuid.uuid4().hex
_ANSWER_SECONDS = 60


class Busy(Exception):
    """Another run has the turn; the text says who."""


class Turn(Protocol):
    """A turn that is held. ``fresh``: nobody has changed anything in the last half minute."""

    fresh: bool

    def changing(self) -> None:
        """Say that something is about to be changed; raises `ConnectionLost` when the turn is over."""

    def end(self) -> None:
        """Let others go on."""


def operator() -> str:
    """Who runs this, and on which machine: `alice@laptop`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"user {os.getuid()}"  # a container without an entry for the user
    return f"{user}@{socket.gethostname()}"


def patience() -> float:
    """The seconds that a run waits for others."""
    text = os.environ.get("TAILWART_WAIT", "")
    return float(text) if text.isdecimal() else PATIENCE


def description() -> str:
    """Who this run is, for others."""
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{operator()} (process {os.getpid()}) since {since}"


class HostTurn:
    """The turn on a host. Raises `Busy`, or `ConnectionLost`."""

    def __init__(self, connector: HostConnector, arguments: dict[str, Any], who: str) -> None:
        script = StringCommand("sh", "-c", QuoteString(hold(RUN, who)))
        # Kept, because a client that nobody refers to closes its connection.
        self._connector = connector
        self._channel: Channel | None = None
        try:
            channel = connector.open_channel(script, **arguments)
            channel.settimeout(_ANSWER_SECONDS)
            word, _, rest = _line(channel).partition(" ")
        except (OSError, SSHException) as error:
            raise ConnectionLost(str(error) or type(error).__name__) from error
        if word == "held":
            self.fresh = rest == "1"
            self._channel = channel
            threading.Thread(target=_beat, args=(channel,), daemon=True).start()
            return
        run, _, other = rest.partition(" ")
        if word != "busy":
            raise _not_given(connector, channel)
        channel.close()
        # One machine may be two hosts of the inventory: the turn is ours under its other name.
        if run != RUN:
            raise Busy(other or "another run")
        self.fresh = True

    def changing(self) -> None:
        """As in `Turn`."""
        if self._channel is None:
            return
        try:
            self._channel.sendall(f"{CHANGE}\n".encode())
        except (OSError, SSHException) as error:
            raise ConnectionLost("this run's turn on the host is over") from error

    def end(self) -> None:
        """As in `Turn`."""
        if self._channel is not None:
            self._channel.close()


def refusal(name: str, other: Busy, expected: str) -> TailwartError:
    """The error for a turn that another run keeps."""
    return TailwartError(
        f"another run is at work on {name}",
        seen=str(other),
        expected=expected,
        remedy="wait for it, or end it; a run that was killed gives its turn back within a minute. Then run again",
    )


def _not_given(connector: HostConnector, channel: Channel) -> TailwartError:
    code, lines = collect(channel, _ANSWER_SECONDS)
    said = "\n".join(line.line for line in lines)
    name = connector.host.name
    return sudo.refusal(str(connector.data["ssh_user"]), name, code, said) or TailwartError(
        f"{name} cannot say whose turn it is",
        seen=said or f"exit code {code}",
        expected="root's rights, flock and timeout (util-linux, coreutils), and a /run that can be written",
        remedy="log in on the host and look at its disk space, then run again",
    )


@contextmanager
def plane_turn(plane: str, domain: str, notify: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """This process's turn for a plane, for a command beside the deploy; where another run has it, it is waited for.

    ``notify`` tells for whom. Raises `TailwartError` when the other run does not end within `patience`.
    """
    end, told = time.monotonic() + patience(), False
    while True:
        try:
            turn = PlaneTurn(plane, domain, description())
            break
        except Busy as other:
            if time.monotonic() >= end:
                raise refusal(f"@plane/{plane}", other, f"its end within {patience():.0f} s (TAILWART_WAIT)") from None
            if not told:
                notify(f"{other} is at work on @plane/{plane}; waiting up to {patience():.0f} s")
            told = True
        time.sleep(_POLL)
    turn.changing()
    try:
        yield
    finally:
        turn.end()


class PlaneTurn:
    """The turn for a plane on this machine, ended by the kernel at the latest with this process.

    Raises `Busy`, and `TailwartError` where no lock can be kept.
    """

    def __init__(self, plane: str, domain: str, who: str) -> None:
        self._path = state_directory() / f"{plane}-{domain}.lock"
        try:
            self._take(who)
        except OSError as error:
            raise TailwartError(
                f"{self._path} cannot be written, so nothing keeps two runs for @plane/{plane} apart",
                seen=error.strerror or type(error).__name__,
                expected="a folder for state that this user can write to, with room",
                remedy=f"make {self._path.parent} writable, or set XDG_STATE_HOME to a folder that is; then run again",
            ) from None

    def _take(self, who: str) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        changed = self._path.stat().st_mtime if self._path.exists() else 0.0
        self._file = self._path.open("a+", errors="replace")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            other = self._file.read().strip()
            self._file.close()
            raise Busy(other or "another run") from None
        self._file.truncate(0)
        self._file.write(who + "\n")
        self._file.flush()
        self.fresh = time.time() - changed > RECENT
        # The file is as old as the last change.
        os.utime(self._path, (changed, changed))

    def changing(self) -> None:
        """As in `Turn`; the kernel takes no lock away."""
        os.utime(self._path)

    def end(self) -> None:
        """As in `Turn`."""
        self._file.close()


def state_directory() -> Path:
    """Where this machine keeps what runs have to remember: below XDG_STATE_HOME."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "tailwart"


def _line(channel: Channel) -> str:
    received = b""
    while not received.endswith(b"\n") and (octet := channel.recv(1)):
        received += octet
    return received.decode(errors="replace").strip()


def _beat(channel: Channel) -> None:
    with suppress(OSError, SSHException):
        while not channel.closed:
            time.sleep(LEASE / 4)
            channel.sendall(f"{BEAT}\n".encode())
