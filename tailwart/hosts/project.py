"""A Compose project as it should be, and why what runs differs. Pure: no pyinfra, no host.

What recreates a container
==========================
`drift` finds every reason to bring a project up; Compose then recreates the services that differ, and no others. It
compares the host alone, never what a deploy predicts or believes to have done. A service is recreated when

1. its part of ``compose.yaml`` or a value of ``.env`` in it changed. The host's record ``.applied`` holds a digest of
   both files and is written after a verified ``up``: a run that dies before that leaves the older record;
2. a file that it reads through a bind mount changed, which Compose does not notice. So the service carries a digest of
   such files in its label ``tailwart.inputs`` (`inputs_digest`), which makes this a case of 1;
3. somebody made its container from something else. The record holds a fingerprint of each container as well;
4. it has no container (one that is stopped is only started);
5. it shares the network namespace of a container that was replaced or restarted since (`stale_namespaces`): Compose
   does not notice, so the operation forces it;
6. its container still has an environment variable that must be gone (`Service.forbidden`);
7. the project's network has to be replaced, which a `Preparation` does, because Compose does not change a network.

Texts for people recreate nothing: healthchecks print codes, and the messages for them stand in the role's `explain`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tailwart.errors import TailwartError
from tailwart.hosts.files import HostDirectory, HostFile
from tailwart.hosts.report import Container, HostReport
from tailwart.hosts.watch import Watch

_LEAST_SECRET = 4


@dataclass(frozen=True, slots=True)
class Service:
    """One service: its name and the digest in its label ``tailwart.inputs``.

    ``forbidden`` are environment variables that must not stay in the running container, whatever the files say now.
    """

    name: str
    inputs: str = ""
    forbidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A shell command that changes nothing and must succeed before anything on the host is changed.

    It runs in the project's directory. ``what`` is the problem when it fails.
    """

    what: str
    script: str
    expected: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Preparation:
    """A change that Compose does not make itself, made before ``up`` and only where it is needed.

    ``reason`` announces it in the plan. ``needed`` is a shell command that changes nothing and succeeds where the
    change is still to be made; it runs again after ``script``. ``what`` is the problem when the change fails.
    """

    reason: str
    needed: str
    script: str
    what: str
    remedy: str

    @property
    def probe(self) -> tuple[str, str]:
        """Exit code 0 in the host's report: the preparation is needed."""
        return f"needed: {self.reason}", self.needed

    def pending(self, report: HostReport) -> bool:
        """Whether the host of this report needs it."""
        result = report.probes.get(self.probe[0])
        return result is not None and result.exit_code == 0


@dataclass(frozen=True, slots=True)
class Overlay:
    """A second Compose file, used while another file of the same directory has content."""

    while_filled: str
    compose_file: str


@dataclass(frozen=True, slots=True)
class ContainerStory:
    """What is known of a container that did not come up: the last output of its healthcheck and of its log."""

    container: Container
    health_output: str
    log: tuple[str, ...]


Explain = Callable[[list[ContainerStory]], TailwartError | None]


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """A project in one directory of the host, ``compose.yaml`` and everything it reads among ``files``.

    ``wait_seconds`` bounds the wait for healthy containers. ``explain`` knows the role's own causes of failure.
    ``secrets`` are masked in messages. ``beside`` are facts that the role's other operations need, so that one remote
    command gathers all of them.
    """

    name: str
    directory: str
    files: tuple[HostFile, ...]
    services: tuple[Service, ...]
    directories: tuple[HostDirectory, ...] = ()
    checks: tuple[Check, ...] = ()
    preparations: tuple[Preparation, ...] = ()
    overlays: tuple[Overlay, ...] = ()
    wait_seconds: int = 180
    explain: Explain | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    beside: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        if self.compose_path not in {file.path for file in self.files}:
            raise ValueError(f"{self.compose_path} is not among the files of {self.name}")

    @property
    def compose_path(self) -> str:
        """The Compose file."""
        return f"{self.directory}/compose.yaml"

    @property
    def record_path(self) -> str:
        """The host's record of what was last brought up."""
        return f"{self.directory}/.applied"

    @property
    def lock_path(self) -> str:
        """Held while the project is changed, by the deploy and by whatever else on the host changes it."""
        return f"{self.directory}/.lock"

    @property
    def options(self) -> str:
        """Options of a ``docker compose`` command, for the shell: without override files and other projects."""
        overlays = [f"$([ ! -s {one.while_filled} ] || echo --file {one.compose_file})" for one in self.overlays]
        return " ".join((f"--project-name {self.name} --file compose.yaml", *overlays))

    @property
    def watch(self) -> Watch:
        """The facts that the operations of the project's role need, all in one command."""
        paths = [item.path for item in self.directories] + [item.path for item in self.files]
        probes = tuple(preparation.probe for preparation in self.preparations)
        return Watch(tuple(paths), (self.record_path,), self.name, probes) | self.beside

    def masked(self, text: str) -> str:
        """``text`` without any of the project's secrets, for messages."""
        for value in sorted(self.secrets, key=len, reverse=True):
            if len(value) >= _LEAST_SECRET:
                text = text.replace(value, "********")
        return text


def inputs_digest(files: Iterable[HostFile]) -> str:
    """The value of the label ``tailwart.inputs``: a digest of the files a service reads when it starts."""
    parts = [f"{file.path} {file.mode} {file.owner} {file.sha256}" for file in files]
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def record(project: ComposeProject, report: HostReport) -> str:
    """The record that the host keeps after a verified ``up``: JSON, a digest of what Compose read, all fingerprints."""
    read = (project.compose_path, f"{project.directory}/.env")
    digests = "".join(sorted(file.sha256 for file in project.files if file.path in read))
    containers = {container.service: container.fingerprint for container in report.containers}
    desired = sorted(service.name for service in project.services)
    return json.dumps(
        {
            "compose": hashlib.sha256(digests.encode()).hexdigest(),
            "services": {name: containers.get(name, "") for name in desired},
        }
    )


def drift(project: ComposeProject, report: HostReport, *, recorded: bool = True) -> list[str]:
    """Why the project must be brought up, in the operator's words; empty when it is up to date.

    ``recorded`` false skips what can only be compared once the record is written: after an ``up``, before the record.
    """
    if not report.engine.version:
        return ["the container engine does not answer" if report.engine.present else "there is no container engine"]
    reasons = [preparation.reason for preparation in project.preparations if preparation.pending(report)]
    reasons += [reason for service in project.services for reason in _service(service, report)]
    if recorded:
        reasons += [reason for service in project.services for reason in _left_over(service, report)]
    desired = {service.name for service in project.services}
    reasons += [f"{item.name} is not part of it" for item in report.containers if item.service not in desired]
    reasons += [f"{name} is in a dead network namespace" for name in stale_namespaces(report)]
    if recorded and not reasons:
        known = report.contents.get(project.record_path)
        if known is None:
            reasons.append("it was never brought up completely")
        elif known.decode(errors="replace").strip() != record(project, report):
            reasons.append("compose.yaml or .env is not what was last brought up")
    return reasons


def stale_namespaces(report: HostReport) -> list[str]:
    """Services whose container shares the network of another that was replaced or restarted since.

    Docker keeps such a container in the namespace of the old process: it runs, answers on its own loopback, and
    reaches nobody.
    """
    by_identifier = {container.identifier: container for container in report.containers}
    found = []
    for container in report.containers:
        kind, _, identifier = container.network_mode.partition(":")
        if kind != "container" or container.state != "running":
            continue
        provider = by_identifier.get(identifier)
        if provider is None or provider.started_at > container.started_at:
            found.append(container.service)
    return found


def _service(service: Service, report: HostReport) -> list[str]:
    containers = [container for container in report.containers if container.service == service.name]
    if not containers:
        return [f"{service.name} has no container"]
    container = containers[0]
    if len(containers) > 1:
        return [f"{service.name} has {len(containers)} containers"]
    reasons = []
    if not container.healthy:
        reasons.append(f"{service.name} is {container.health if container.state == 'running' else container.state}")
    if service.inputs != container.inputs:
        reasons.append(f"{service.name} runs with older files")
    return reasons


def _left_over(service: Service, report: HostReport) -> list[str]:
    container = report.container(service.name)
    present = container.variables if container else frozenset()
    return [f"{service.name} still has {name} set" for name in service.forbidden if name in present]
