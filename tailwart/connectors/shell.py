"""Shell scripts on a host outside of a pyinfra run: for the command line, and for a role that reads another's host."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from pyinfra.connectors.sshuserclient import SSHClient

from tailwart.connectors.ssh import CONNECTION_ERRORS, ssh_data
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
        self._client: SSHClient | None = None

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
        try:
            channel_in, out, err = self._connected().exec_command(script, timeout=timeout or _TIMEOUT)
            channel_in.write(stdin.encode())
            channel_in.channel.shutdown_write()
            # Standard output is read to its end first: both streams share one channel, which the larger one fills.
            stdout, stderr = out.read(), err.read()
            return Completed(out.channel.recv_exit_status() == 0, _text(stdout), _text(stderr))
        except TimeoutError:
            raise
        except CONNECTION_ERRORS as error:
            self.close()
            raise self._unreachable(error) from error

    def _connected(self) -> SSHClient:
        if self._client is None:
            client = SSHClient()
            try:
                client.connect(self._data["ssh_hostname"], **self._arguments())
            except CONNECTION_ERRORS as error:
                raise self._unreachable(error) from error
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
            "_pyinfra_ssh_strict_host_key_checking": data.get("ssh_strict_host_key_checking", "accept-new"),
            "_pyinfra_ssh_paramiko_connect_kwargs": data["ssh_paramiko_connect_kwargs"],
        }

    def _unreachable(self, error: Exception) -> TailwartError:
        return TailwartError(
            f"SSH to {self._target} failed",
            seen=f"{type(error).__name__}: {error}".strip(": "),
            remedy=f"try `ssh -p {self._target.port} {self._target.user}@{self._target.host}`; look at SSH_KEY and "
            "SSH_KNOWN_HOSTS in .env",
        )


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")
