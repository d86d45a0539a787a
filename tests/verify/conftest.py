"""Verification of a deployed installation: the hosts of `inventory.py`, the settings of the selected `.env`.

Runs with the same words after a lab deploy and after a real one: `make verify`, or `pytest tests/verify`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from tailwart.environment import Edge, Environment, SshTarget, load
from tailwart.errors import TailwartError


def _environment() -> Environment:
    try:
        return load().environment
    except TailwartError as error:
        pytest.exit(f"Error: {error}", returncode=1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One run of every edge test per edge of the inventory."""
    if "edge" in metafunc.fixturenames:
        edges = _environment().edges
        metafunc.parametrize("edge", edges, ids=[edge.name for edge in edges])


@pytest.fixture(scope="session")
def environment() -> Environment:
    """The selected settings."""
    return _environment()


def connect(environment: Environment, target: SshTarget) -> Host:
    """A testinfra host over one kept SSH connection, with the same key and known hosts as the deploy."""
    options = ["-o", "StrictHostKeyChecking=yes"]
    if environment.ssh_known_hosts:
        options += ["-o", f"UserKnownHostsFile={Path(environment.ssh_known_hosts).expanduser()}"]
    address = f"[{target.host}]" if ":" in target.host else target.host
    return testinfra.get_host(
        f"ssh://{target.user}@{address}:{target.port}",
        ssh_identity_file=str(Path(environment.ssh_key).expanduser()) if environment.ssh_key else None,
        ssh_extra_args=shlex.join(options),
        controlpersist=30,
        sudo=target.user != "root",
    )


@pytest.fixture(scope="session")
def mailbox(environment: Environment) -> Host:
    """The mailbox host."""
    if environment.mailbox_ssh is None:
        pytest.skip("role mailbox is not configured: MAILBOX_SSH is not set")
    return connect(environment, environment.mailbox_ssh)


@pytest.fixture
def edge_host(environment: Environment, edge: Edge) -> Host:
    """One edge host."""
    return connect(environment, edge.ssh)


@dataclass(frozen=True)
class Namespace:
    """The network namespace that the sidecar and Stalwart share, seen from inside."""

    host: Host

    def run(self, command: str) -> tuple[int, str]:
        """Run a shell command of the mailbox host inside the namespace: exit code and output."""
        pid = "$(docker inspect -f '{{.State.Pid}}' ts-stalwart)"
        result = self.host.run(f"nsenter -t {pid} -n sh -c {shlex.quote(command)}")
        return result.rc, result.stdout + result.stderr

    def connects(self, name: str, port: int) -> tuple[bool, str]:
        """Whether a TCP connection to a name opens, resolved and routed as the containers do it."""
        probe = f"docker exec ts-stalwart nc -z -w 5 {shlex.quote(name)} {port}"
        result = self.host.run(probe)
        if "OCI runtime exec failed" in result.stdout + result.stderr:
            # The engine could not start the probe, which says nothing about the port.
            result = self.host.run(probe)
        return result.rc == 0, (result.stdout + result.stderr).strip() or f"exit code {result.rc}"


@pytest.fixture(scope="session")
def namespace(mailbox: Host) -> Iterator[Namespace]:
    """The mailbox's namespace."""
    yield Namespace(mailbox)
