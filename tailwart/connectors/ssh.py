"""SSH connection data for pyinfra, tuned: a no-op run is bounded by round trips, not by bytes."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from paramiko import SSHException, Transport

from tailwart.environment import Environment, SshTarget

# The pure-Python key exchanges that paramiko would choose first cost 0.3 s a host; curve25519 a few milliseconds.
_KEY_EXCHANGE = ("curve25519-sha256", "curve25519-sha256@libssh.org")
_CONNECT_TIMEOUT = 10

CONNECTION_ERRORS = (OSError, SSHException, EOFError)
"""What paramiko raises when a connection cannot be made or breaks, `TimeoutError` among them."""


class PromptTransport(Transport):
    """A transport that sends small packets at once and prefers the quick key exchange.

    Without TCP_NODELAY each remote command waits about 40 ms for a delayed acknowledgement.
    """

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        options = self.get_security_options()
        quick = [name for name in _KEY_EXCHANGE if name in options.kex]
        options.kex = (*quick, *(name for name in options.kex if name not in quick))
        # A ProxyCommand's "socket" is a pipe and has no such option.
        if isinstance(self.sock, socket.socket):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def prompt_transport(sock: Any, *args: Any, **kwargs: Any) -> Transport:
    """A function, because `debug-inventory` can show one and not a class."""
    return PromptTransport(sock, *args, **kwargs)


def ssh_data(environment: Environment, target: SshTarget) -> dict[str, Any]:
    """pyinfra's host data for one SSH host of the installation."""
    data: dict[str, Any] = {
        "ssh_hostname": target.host,
        "ssh_port": target.port,
        "ssh_user": target.user,
        "ssh_paramiko_connect_kwargs": {
            "transport_factory": prompt_transport,
            "timeout": _CONNECT_TIMEOUT,
            "banner_timeout": _CONNECT_TIMEOUT,
            "auth_timeout": _CONNECT_TIMEOUT,
        },
    }
    if environment.ssh_key:
        data["ssh_key"] = str(Path(environment.ssh_key).expanduser())
        # Only the key that was named: an agent full of other keys makes servers close the connection.
        data["ssh_allow_agent"] = data["ssh_look_for_keys"] = False
    if environment.ssh_known_hosts:
        data["ssh_known_hosts_file"] = str(Path(environment.ssh_known_hosts).expanduser())
        data["ssh_strict_host_key_checking"] = "yes"
    return data
