"""The host keys that hosts show, and the known_hosts file that says which of them are trusted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paramiko import PKey
from pyinfra.connectors.sshuserclient.client import get_host_keys

from tailwart.connectors.opening import HostClient, connect, fingerprint
from tailwart.connectors.ssh import UnknownHostKey
from tailwart.errors import TailwartError


@dataclass(frozen=True, slots=True)
class ShownKey:
    """What one host showed: a ``key`` that is not known, or the ``problem``, or neither when its key is known."""

    name: str
    known_hosts: Path
    entry: str = ""
    key: PKey | None = None
    problem: TailwartError | None = None

    @property
    def new(self) -> bool:
        """Whether the key is to be accepted or not."""
        return self.key is not None

    def describe(self) -> str:
        """One line for the operator."""
        if self.key is not None:
            return f"new      {fingerprint(self.key)}  {self.entry}"
        return f"known    in {self.known_hosts}" if self.problem is None else f"problem  {self.problem.what}"

    def remember(self) -> None:
        """Append the key to the known_hosts file, which other programs read and write as well."""
        assert self.key is not None, "only a new key is written"
        self.known_hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.known_hosts.touch(mode=0o600)
        text = self.known_hosts.read_bytes()
        line = f"{self.entry} {self.key.get_name()} {self.key.get_base64()}\n".encode()
        with self.known_hosts.open("ab") as file:
            file.write(line if not text or text.endswith(b"\n") else b"\n" + line)
        # pyinfra reads each file once.
        get_host_keys.cache.clear()


class _WithoutLogin(HostClient):
    """Connects no further than to the host key, which comes before the login."""

    def _auth(self, *_: Any) -> None:
        pass


def shown_key(name: str, data: dict[str, Any]) -> ShownKey:
    """Ask the host of pyinfra's host ``data`` for its key; nothing but the key is looked at, a login is not needed."""
    client = _WithoutLogin()
    arguments = {
        "username": data["ssh_user"],
        "port": data["ssh_port"],
        "allow_agent": False,
        "look_for_keys": False,
        "_pyinfra_ssh_known_hosts_file": data.get("ssh_known_hosts_file"),
        "_pyinfra_ssh_strict_host_key_checking": "yes",
        "_pyinfra_ssh_paramiko_connect_kwargs": data["ssh_paramiko_connect_kwargs"],
    }
    try:
        connect(client, name, data, **arguments)
    except TailwartError as problem:
        file = Path(client.known_hosts)
        if isinstance(problem.__cause__, UnknownHostKey):
            return ShownKey(name, file, problem.__cause__.entry, problem.__cause__.key)
        return ShownKey(name, file, problem=problem)
    finally:
        client.close()
    return ShownKey(name, Path(client.known_hosts))
