"""Shell scripts on a host outside of a pyinfra run: for the command line, and for a role that reads another's host."""

from __future__ import annotations

import shlex
from types import TracebackType
from typing import Any

from paramiko import Channel

from tailwart.connectors.opening import HostClient, connect, described
from tailwart.connectors.ssh import CONNECTION_ERRORS, PromptTransport, ssh_data
from tailwart.connectors.sudo import refusal
from tailwart.environment import Environment, SshTarget
from tailwart.errors import TailwartError
from tailwart.runner import Completed

_TIMEOUT = 120.0


class SshRunner:
    """A `Runner` over a connection of its own, opened at first use, with the keys and known hosts of the inventory.

    Raises `TailwartError` when the host cannot be reached, `TimeoutError` when a script exceeds its time.
    """

    def __init__(self, environment: Environment, target: SshTarget) -> None:
        self._target = target
        self._data = ssh_data(environment, target)
        self._client: HostClient | None = None

    def __enter__(self) -> SshRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if one was opened."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        as_root = self._data.get("_sudo", False)
        client = self._connected()
        try:
            channel_in, out, err = client.exec_command(self._rooted(script), timeout=timeout or _TIMEOUT)
            channel_in.write(stdin.encode())
            channel_in.channel.shutdown_write()
            # Standard output is read to its end first: both streams share one channel, which the larger one fills.
            stdout, stderr = out.read(), err.read()
            code = out.channel.recv_exit_status()
            # Nothing else has no exit code: the channel was closed without one.
            if code < 0 and not _active(client):
                raise ConnectionError(_loss(client))
            refused = refusal(self._target.user, self._target.host, code, _text(stderr)) if as_root else None
        except CONNECTION_ERRORS as error:
            if isinstance(error, TimeoutError) and _active(client):
                raise
            seen = _loss(client) or described(error)
            self.close()
            raise self._lost(seen) from error
        if refused is not None:
            raise refused
        return Completed(code == 0, _text(stdout), _text(stderr))

    def open_session(self) -> Channel:
        """A channel of this connection for a command that talks both ways; the caller closes it."""
        transport = self._connected().get_transport()
        if transport is None:
            raise self._lost("it is closed")
        return transport.open_session()

    def stream(self, script: str) -> Channel:
        """The channel of a script that takes or gives more than fits in memory; the caller closes it."""
        channel = self.open_session()
        channel.exec_command(self._rooted(script))
        return channel

    def _rooted(self, script: str) -> str:
        return f"exec sudo -n -H sh -c {shlex.quote(script)}" if self._data.get("_sudo", False) else script

    def _connected(self) -> HostClient:
        if self._client is None:
            client = HostClient()
            connect(client, str(self._target), self._data, **self._arguments())
            self._client = client
        return self._client

    def _arguments(self) -> dict[str, Any]:
        data = self._data
        own_key = data.get("ssh_key")
        return {
            "username": data["ssh_user"],
            "port": data["ssh_port"],
            "key_filename": own_key,
            "allow_agent": not own_key,
            "look_for_keys": not own_key,
            "_pyinfra_ssh_known_hosts_file": data.get("ssh_known_hosts_file"),
            "_pyinfra_ssh_strict_host_key_checking": data["ssh_strict_host_key_checking"],
            "_pyinfra_ssh_paramiko_connect_kwargs": data["ssh_paramiko_connect_kwargs"],
        }

    def _lost(self, seen: str) -> TailwartError:
        return TailwartError(
            f"the connection to {self._target} was lost",
            seen=seen,
            remedy="check that the host is up and its network works, then run again",
        )


def _active(client: HostClient) -> bool:
    transport = client.get_transport()
    return transport is not None and transport.is_active()


def _loss(client: HostClient) -> str:
    transport = client.get_transport()
    return transport.loss() if isinstance(transport, PromptTransport) and not transport.is_active() else ""


def prove_login(environment: Environment, target: SshTarget) -> None:
    """A new connection is let in and runs a command; raises `TailwartError` or `TimeoutError`."""
    with SshRunner(environment, target) as run:
        if not run("true", timeout=20).ok:
            raise TailwartError(f"SSH to {target} connects, and then runs no command")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")
