"""A pyinfra run on its own @fake connector, with the host's report given by the test."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.operations import run_ops
from pyinfra.api.state import State, StateStage
from pyinfra.connectors.fake import FakeConnector
from pyinfra.context import ctx_host, ctx_state

from tailwart.environment import Environment
from tailwart.hosts.hardening.plan import HostRole
from tailwart.hosts.project import ComposeProject
from tailwart.hosts.report import HEADER, TRAILER
from tailwart.hosts.units import Unit
from tailwart.stalwart.lifecycle import bootstrap
from tests.unit.operations import hardened
from tests.unit.operations.systemctl import shown

REPORT = "tailwart-host-report"
STARTED = "2026-11-21T02:00:0{}Z"


@dataclass
class FakeRun:
    """One run against one fake host."""

    state: State
    host: Host

    @property
    def commands(self) -> list[str]:
        """Every command that went to the host so far."""
        connector = self.host.connector
        assert isinstance(connector, FakeConnector)
        return connector.executed_commands

    def plan(self, deploy: Callable[[], None]) -> int:
        """Prepare only; how many operations would change something."""
        self.state.set_stage(StateStage.Prepare)
        with ctx_host.use(self.host):
            deploy()
        return self.state.get_meta_for_host(self.host).ops_change

    def execute(self) -> int:
        """Run what was prepared; how many operations did change something."""
        self.state.set_stage(StateStage.Execute)
        run_ops(self.state)
        return sum(data.operation_meta.executed for data in self.state.ops[self.host].values())


@contextmanager
def fake_run(
    report: list[str], environment: Environment | None = None, responses: dict[str, object] | None = None
) -> Iterator[FakeRun]:
    """A run whose host answers the one fact with ``report``, as ``responses`` say, and takes every other command."""
    answers = {REPORT: [HEADER, *report, TRAILER], **(responses or {})}
    data = {"fake_responses": answers, "fake_delay": 0, "fake_delay_jitter": 0, "environment": environment}
    state = State(Inventory(([("@fake/mailbox", data)], {})), Config())
    state.set_stage(StateStage.Connect)
    with ctx_state.use(state):
        connect_all(state)
        yield FakeRun(state, next(iter(state.inventory)))


def up_to_date(project: ComposeProject, unit: Unit, record: str) -> list[str]:
    """The report of a host on which nothing is to be done."""
    lines = ["engine\t26.1.5+dfsg1\ttrue\t2.26.1-4\t", "unit\tenabled\tboot/1/2"]
    settings = base64.b64encode(b'{"experimental": true, "ip6tables": true}').decode()
    lines.append(f"content\t{settings}\t/etc/docker/daemon.json")
    lines.append(f"content\t{base64.b64encode(record.encode()).decode()}\t{project.record_path}")
    for item in project.directories:
        lines.append(f"path\tdirectory\t{item.mode.lstrip('0')}\t{item.owner}\t{item.path}")
    for file in project.files:
        lines.append(f"path\tregular file\t{file.mode.lstrip('0')}\t{file.owner}\t{file.path}")
        lines.append(f"sha256\t{file.sha256}\t{file.path}")
    for file in unit.files:
        lines.append(f"path\tregular file\t{file.mode.lstrip('0')}\t{file.owner}\t{file.path}")
        lines.append(f"sha256\t{file.sha256}\t{file.path}")
    lines.append(f"probe\tunit {unit.name}\t0\t{base64.b64encode(shown(unit).encode()).decode()}")
    lines += [f"probe\t{name}\t0\t" for name, _ in bootstrap.WATCH.probes]
    lines += hardened.lines(HostRole(project.name))
    for index, service in enumerate(project.services):
        network = "container:c0" if index else "tailwart-mailbox_default"
        fields = (service.name, f"/{service.name}", f"c{index}", "running", "healthy", "0")
        more = (service.inputs, STARTED.format(index), network, "PATH ")
        lines.append("\t".join(("container", *fields, *more)))
        lines.append(f"fingerprint\tc{index}\tprint-{service.name}")
    return lines
