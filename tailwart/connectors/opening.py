"""Opening an SSH connection: every way in which that can fail, in the operator's terms."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from paramiko import (
    AuthenticationException,
    BadHostKeyException,
    MissingHostKeyPolicy,
    PKey,
)
from paramiko import SSHClient as ParamikoClient
from pyinfra.api.exceptions import PyinfraError
from pyinfra.connectors.sshuserclient import SSHClient

from tailwart.connectors.ssh import CONNECTION_ERRORS, UnknownHostKey
from tailwart.errors import TailwartError

DEFAULT_KNOWN_HOSTS = "~/.ssh/known_hosts"


class _OnlyKnownKeys(MissingHostKeyPolicy):
    def missing_host_key(self, client: ParamikoClient, hostname: str, key: PKey) -> None:
        raise UnknownHostKey(hostname, key)


class HostClient(SSHClient):
    """pyinfra's client (ssh_config, ProxyJump), except that an unknown host key is always an `UnknownHostKey`."""

    def set_missing_host_key_policy(self, policy: Any) -> None:
        """Ours, whatever ssh_config says."""
        super().set_missing_host_key_policy(_OnlyKnownKeys())

    @property
    def known_hosts(self) -> str:
        """The file that holds the keys of known hosts, after `connect` was called."""
        return str(self._host_keys_filename or Path(DEFAULT_KNOWN_HOSTS).expanduser())

    def entry(self, hostname: str) -> str:
        """The name of ``hostname`` in that file."""
        port = self._ssh_config.get("port", 22)
        return hostname if port == 22 else f"[{hostname}]:{port}"


def connect(client: HostClient, name: str, data: dict[str, Any], **arguments: Any) -> None:
    """Connect ``client`` to the host of pyinfra's host ``data``; ``arguments`` are those of `SSHClient.connect`.

    Raises `TailwartError` for whatever goes wrong. ``name`` is the host's in messages.
    """
    target = f"{data.get('ssh_user') or 'root'}@{data.get('ssh_hostname')}:{data.get('ssh_port') or 22}"
    try:
        client.connect(data["ssh_hostname"], **arguments)  # type: ignore[no-untyped-call]
    except UnknownHostKey as error:
        raise _unknown(name, target, client.known_hosts, error) from error
    except BadHostKeyException as error:
        raise _changed(name, target, client, error) from error
    except AuthenticationException as error:
        key = data.get("ssh_key")
        raise TailwartError(
            f"{name} refuses the login",
            seen=f"{target}: {error}",
            expected=f"the public key of {key or 'a key in ~/.ssh or the SSH agent'} in ~/.ssh/authorized_keys of "
            f"{data.get('ssh_user')}",
            remedy=f"check SSH_KEY in .env; try: {trial(data)}",
        ) from error
    except (*CONNECTION_ERRORS, PyinfraError) as error:
        raise TailwartError(
            f"{name} cannot be reached over SSH",
            seen=f"{target}: {described(error)}",
            expected=f"an SSH server at {target} that answers within 10 s",
            remedy=f"check the address, SSH_KEY and SSH_KNOWN_HOSTS in .env; try: {trial(data)}",
        ) from error


def described(error: BaseException) -> str:
    """The error's own text, or its type where it has none."""
    return str(error).removeprefix("[Errno None] ").strip() or type(error).__name__


def trial(data: dict[str, Any]) -> str:
    """The command that shows the same problem without us."""
    words = ["ssh"]
    if data.get("ssh_key"):
        words += ["-i", str(data["ssh_key"])]
    if data.get("ssh_known_hosts_file"):
        words += ["-o", f"UserKnownHostsFile={data['ssh_known_hosts_file']}"]
    words += ["-p", str(data.get("ssh_port") or 22), f"{data.get('ssh_user')}@{data.get('ssh_hostname')}", "true"]
    return shlex.join(words)


def fingerprint(key: PKey) -> str:
    """As `ssh-keygen -l` prints it: type and SHA-256."""
    return f"{key.get_name()} {key.fingerprint}"


def _unknown(name: str, target: str, known_hosts: str, error: UnknownHostKey) -> TailwartError:
    return TailwartError(
        f"the host key of {name} is not known",
        seen=f"{target} shows {fingerprint(error.key)}",
        expected=f"a key that {known_hosts} has for {error.entry}",
        remedy="compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host's own console, then run "
        "`tailwart env trust`",
    )


def _changed(name: str, target: str, client: HostClient, error: BadHostKeyException) -> TailwartError:
    entry = client.entry(error.hostname)
    return TailwartError(
        f"THE HOST KEY OF {name} HAS CHANGED: a reinstalled host, or somebody in between",
        seen=f"{target} shows {fingerprint(error.key)}",
        expected=f"{fingerprint(error.expected_key)}, which {client.known_hosts} has for {entry}",
        remedy=f"only if the host was reinstalled: {removal(client.known_hosts, entry)}, then tailwart env trust",
    )


def removal(known_hosts: str, entry: str) -> str:
    """The command that removes a host's old key."""
    return shlex.join(["ssh-keygen", "-f", known_hosts, "-R", entry])
