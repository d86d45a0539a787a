"""Verification of a deployed installation: the hosts of `inventory.py`, the settings of the selected `.env`.

Runs with the same words after a lab deploy and after a real one: `make verify`, or `pytest tests/verify`.
"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from tailwart.environment import Edge, Environment, SshTarget, load
from tailwart.errors import TailwartError
from tailwart.hosts.report import HostReport, parse
from tailwart.hosts.watch import Watch, script


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


def report(host: Host, watch: Watch) -> tuple[HostReport, datetime, datetime]:
    """The facts of a host, and the times of this machine before and after the question."""
    host.check_output("true")
    asked = datetime.now(UTC)
    answer = host.run("sh -c %s", script(watch))
    return parse(answer.stdout.splitlines()), asked, datetime.now(UTC)
