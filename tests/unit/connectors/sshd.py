"""An SSH server on loopback that runs commands as this user, behind a relay that can fall silent."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED


class _Session(paramiko.ServerInterface):
    def __init__(self, accepted: paramiko.PKey, path: str) -> None:
        self._accepted, self._path = accepted, path

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return int(AUTH_SUCCESSFUL if key == self._accepted else AUTH_FAILED)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": self._path},
        )
        assert process.stdin and process.stdout and process.stderr
        pumps = [
            threading.Thread(target=_feed, args=(channel, process.stdin), daemon=True),
            threading.Thread(target=_drain, args=(process.stdout, channel.sendall), daemon=True),
            threading.Thread(target=_drain, args=(process.stderr, channel.sendall_stderr), daemon=True),
        ]
        for pump in pumps:
            pump.start()
        for pump in pumps[1:]:
            pump.join()
        try:
            channel.send_exit_status(process.wait())
            channel.close()
        except (OSError, EOFError):
            pass  # the client did not wait


def _feed(channel: paramiko.Channel, sink: IO[bytes]) -> None:
    with suppress(OSError), sink:
        while chunk := channel.recv(65536):
            sink.write(chunk)
            sink.flush()


def _drain(source: IO[bytes], send: Callable[[bytes], object]) -> None:
    with suppress(OSError, EOFError), source:
        while chunk := os.read(source.fileno(), 65536):
            send(chunk)


@dataclass
class Sshd:
    """The server: its port, its own key, and the files that a client needs."""

    port: int
    host_key: paramiko.PKey
    identity: Path
    known_hosts: Path
    silent: threading.Event = field(default_factory=threading.Event)

    def introduce(self, key: paramiko.PKey | None = None) -> None:
        """Write the server's key, or another one, into the client's known_hosts."""
        key = key or self.host_key
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {key.get_name()} {key.get_base64()}\n")


@contextmanager
def sshd(directory: Path, path: str = "/usr/local/bin:/usr/bin:/bin") -> Iterator[Sshd]:
    """Serve until the block ends. ``path`` is where commands find their programs."""
    own, client = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()
    client.write_private_key_file(str(directory / "identity"))
    listener = socket.create_server(("127.0.0.1", 0))
    server = Sshd(listener.getsockname()[1], own, directory / "identity", directory / "known_hosts")
    open_sockets: list[socket.socket] = [listener]

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                if not server.silent.is_set():
                    sink.sendall(data)
        except OSError:
            pass
        finally:
            if not server.silent.is_set():
                sink.close()

    def serve() -> None:
        while True:
            try:
                outside, _ = listener.accept()
            except OSError:
                return
            near, far = socket.socketpair()
            open_sockets.extend((outside, near))
            for pair in ((outside, near), (near, outside)):
                threading.Thread(target=pump, args=pair, daemon=True).start()
            transport = paramiko.Transport(far)
            transport.add_server_key(own)
            try:
                transport.start_server(server=_Session(client, path))
            except (paramiko.SSHException, EOFError):
                continue  # a client that does not like the host key leaves at once

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server
    finally:
        for item in open_sockets:
            item.close()
