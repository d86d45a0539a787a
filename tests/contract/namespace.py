"""A network namespace of a test's own: real ports without privileges over the machine's, and nothing can call out."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# An address of the namespace's own that is no loopback one: the server delivers to no relay at a loopback address.
OUTSIDE = "10.99.0.2"
# Where programs inside look names up, unless a test runs a name server of its own.
RESOLVER = "127.0.0.53"

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    """A namespace that lives as long as the process that holds it."""

    def __init__(self, holder: subprocess.Popen[bytes], resolv_conf: Path) -> None:
        self._holder = holder
        self._resolv_conf = resolv_conf
        self.path = Path(f"/proc/{holder.pid}/ns/net")
        self._mounts = Path(f"/proc/{holder.pid}/ns/mnt")

    def command(self, *words: str | Path) -> list[str]:
        """`words` as a command that runs inside."""
        return ["nsenter", f"--net={self.path}", f"--mount={self._mounts}", "--", *map(str, words)]

    def ask(self, address: str) -> None:
        """Programs that start from now on look names up at `address`."""
        self._resolv_conf.write_text(f"nameserver {address}\noptions timeout:2 attempts:1\n")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets that this thread makes in the block belong to the namespace, also afterwards."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        target = os.open(self.path, os.O_RDONLY)
        try:
            _enter(target)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(target)
            os.close(home)

    def connect(self, port: int, *, host: str = "127.0.0.1", source: str = "", timeout: float = 20) -> socket.socket:
        """A TCP connection from inside; `source` picks one of the loopback's many addresses."""
        with self.entered():
            return socket.create_connection((host, port), timeout, (source, 0) if source else None)


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A fresh namespace with a loopback, one more address, and nothing else."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the server's real ports are opened in a network namespace")
    script = f"ip link set lo up && ip addr add {OUTSIDE}/32 dev lo && "
    script += 'mount --bind "$0" /etc/resolv.conf && echo up && exec sleep infinity'
    with tempfile.NamedTemporaryFile("w", prefix="tailwart-resolv-") as file:
        resolv_conf = Path(file.name)
        resolv_conf.chmod(0o644)
        holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "sh", "-c", script, file.name],
            stdout=subprocess.PIPE,
        )
        yield from _held(holder, resolv_conf)


def _held(holder: subprocess.Popen[bytes], resolv_conf: Path) -> Iterator[Namespace]:
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"up\n":
            pytest.skip("this machine allows no network namespace")
        space = Namespace(holder, resolv_conf)
        space.ask(RESOLVER)
        yield space
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
