"""SSH connections, tuned and bounded: few round trips, known host keys only, an end when nobody answers."""

from __future__ import annotations

import logging
import socket
import threading
import time
import weakref
from pathlib import Path
from typing import Any

from paramiko import PKey, SSHException, Transport
from paramiko.common import cMSG_GLOBAL_REQUEST
from paramiko.message import Message

from tailwart.environment import Environment, SshTarget

# The pure-Python key exchanges that paramiko would choose first cost 0.3 s a host; curve25519 a few milliseconds.
_KEY_EXCHANGE = ("curve25519-sha256", "curve25519-sha256@libssh.org")
_CONNECT_TIMEOUT = 10
_ASK_AFTER = 10
_SILENCE = 40.0
"""Seconds without a sign of life after which a host counts as gone; it was asked three times by then."""

CONNECTION_ERRORS = (OSError, SSHException, EOFError)
"""What paramiko raises when a connection cannot be made or breaks, `TimeoutError` among them."""

# It logs a traceback beside the exception that it raises, which becomes an error in the operator's words here.
logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)


class PromptTransport(Transport):
    """A transport that sends small packets at once, prefers the quick key exchange, and ends when nobody answers.

    Without TCP_NODELAY each remote command waits about 40 ms for a delayed acknowledgement.

    paramiko's own keepalive expects no answer, so it notices nothing; TCP notices after a quarter of an hour, and never
    that a host is frozen or that the last hop of a ProxyJump is gone. So the far end is asked for an answer, and a
    thread of its own measures the silence: the one that reads may be blocked by one that writes.
    """

    silence = _SILENCE

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        options = self.get_security_options()
        quick = [name for name in _KEY_EXCHANGE if name in options.kex]
        options.kex = (*quick, *(name for name in options.kex if name not in quick))
        # A ProxyCommand's "socket" is a pipe and has no such option.
        if isinstance(self.sock, socket.socket):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fell_silent = False
        self._heard = time.monotonic()
        read = self.packetizer.read_message

        def heard() -> Any:
            message = read()
            self._heard = time.monotonic()
            return message

        self.packetizer.read_message = heard  # type: ignore[method-assign]
        self.packetizer.set_keepalive(min(_ASK_AFTER, self.silence / 4), self.ask)

    def start_client(self, event: threading.Event | None = None, timeout: float | None = None) -> None:
        """As in paramiko; from the end of the handshake, which has a time limit of its own, silence is measured."""
        super().start_client(event, timeout)
        self._heard = time.monotonic()
        threading.Thread(target=_watch, args=(weakref.ref(self),), daemon=True).start()

    def ask(self) -> None:
        """Ask the far end for an answer, without waiting for it. A refusal is one, too."""
        message = Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        self._send_user_message(message)  # type: ignore[attr-defined]

    def end_if_silent(self) -> None:
        """End a connection that has been silent for too long."""
        if time.monotonic() - self._heard > self.silence:
            self.fell_silent = True
            # Not `close`, which waits for the thread that reads.
            self.packetizer.close()
            self.sock.close()

    def loss(self) -> str:
        """Why the connection ended, in the operator's words."""
        if self.fell_silent:
            return f"no sign of life for {self.silence:.0f} s"
        problem = self.saved_exception
        return f"{type(problem).__name__}: {problem}".strip(": ") if problem else "the host closed the connection"


def _watch(reference: weakref.ref[PromptTransport]) -> None:
    while (transport := reference()) is not None and transport.is_active():
        transport.end_if_silent()
        pause = min(2.0, transport.silence / 8)
        del transport
        time.sleep(pause)


class UnknownHostKey(SSHException):
    """The host's ``key`` is in no known_hosts file; ``entry`` is the name it would have there."""

    def __init__(self, entry: str, key: PKey) -> None:
        super().__init__(f"the host key of {entry} is not known")
        self.entry, self.key = entry, key


def prompt_transport(sock: Any, *args: Any, **kwargs: Any) -> Transport:
    """A function, because `debug-inventory` can show one and not a class."""
    return PromptTransport(sock, *args, **kwargs)


def ssh_data(environment: Environment, target: SshTarget) -> dict[str, Any]:
    """pyinfra's host data for one SSH host of the installation.

    Everything that the deploy does needs root: another user gets it with sudo.
    """
    data: dict[str, Any] = {
        "ssh_hostname": target.host,
        "ssh_port": target.port,
        "ssh_user": target.user,
        "ssh_strict_host_key_checking": "yes",
        "ssh_paramiko_connect_kwargs": {
            "transport_factory": prompt_transport,
            "timeout": _CONNECT_TIMEOUT,
            "banner_timeout": _CONNECT_TIMEOUT,
            "auth_timeout": _CONNECT_TIMEOUT,
        },
    }
    if target.user != "root":
        data["_sudo"] = True
    if environment.ssh_key:
        data["ssh_key"] = str(Path(environment.ssh_key).expanduser())
        # Only the key that was named: an agent full of other keys makes servers close the connection.
        data["ssh_allow_agent"] = data["ssh_look_for_keys"] = False
    if environment.ssh_known_hosts:
        data["ssh_known_hosts_file"] = str(Path(environment.ssh_known_hosts).expanduser())
    return data
