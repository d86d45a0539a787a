"""A Compose project as it is desired, and why what runs is not it. Pure: no pyinfra, no host."""

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
    """One service: its container's name, the digest in its label ``tailwart.inputs``, whether its image is built here.

    ``forbidden`` are environment variables that must not stay in the running container, whatever the files say now.
    """

    name: str
    inputs: str = ""
    built: bool = False
    forbidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A shell command run in the project's directory, after a build and before what runs is touched."""

    what: str
    script: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Overlay:
    """A second Compose file that counts while another file, in the same directory, has content."""

    while_filled: str
    compose_file: str


@dataclass(frozen=True, slots=True)
class ContainerStory:
    """What is known of a container that did not come up: the last words of its healthcheck and of its log."""

    container: Container
    health_output: str
    log: tuple[str, ...]


Explain = Callable[[list[ContainerStory]], TailwartError | None]


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """A project in one directory of the host, ``compose.yaml`` and everything it reads among ``files``.

    ``wait_seconds`` bounds the wait for healthy containers. ``explain`` knows the role's own causes of failure.
    """

    name: str
    directory: str
    files: tuple[HostFile, ...]
    services: tuple[Service, ...]
    directories: tuple[HostDirectory, ...] = ()
    checks: tuple[Check, ...] = ()
    overlays: tuple[Overlay, ...] = ()
    wait_seconds: int = 180
    build_seconds: int = 900
    explain: Explain | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    extra_paths: tuple[str, ...] = ()
    probes: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.compose_path not in {file.path for file in self.files}:
            raise ValueError(f"{self.compose_path} is not among the files of {self.name}")

    @property
    def compose_path(self) -> str:
        """The Compose file."""
        return f"{self.directory}/compose.yaml"

    @property
    def record_path(self) -> str:
        """Where the host keeps what was last brought up."""
        return f"{self.directory}/.applied"

    @property
    def lock_path(self) -> str:
        """Held while the project is changed, by the deploy and by whatever else on the host changes it."""
        return f"{self.directory}/.lock"

    @property
    def options(self) -> str:
        """Options of a ``docker compose`` command, for the shell: no override file or foreign name slips in."""
        overlays = [f"$([ ! -s {one.while_filled} ] || echo --file {one.compose_file})" for one in self.overlays]
        return " ".join((f"--project-name {self.name} --file compose.yaml", *overlays))

    @property
    def built(self) -> bool:
        """Whether an image is built on the host."""
        return any(service.built for service in self.services)

    @property
    def watch(self) -> Watch:
        """What the role's operations look at, in one command."""
        paths = [item.path for item in self.directories] + [item.path for item in self.files]
        return Watch((*paths, *self.extra_paths), (self.record_path,), self.name, self.probes)

    def masked(self, text: str) -> str:
        """``text`` without any of the project's secrets, for messages."""
        for value in sorted(self.secrets, key=len, reverse=True):
            if len(value) >= _LEAST_SECRET:
                text = text.replace(value, "********")
        return text


def inputs_digest(files: Iterable[HostFile], *more: str) -> str:
    """The value of the label ``tailwart.inputs``: a digest of the files a service reads when it starts.

    ``more`` are further things that must recreate the service when they change.
    """
    parts = [f"{file.path} {file.mode} {file.owner} {file.sha256}" for file in files]
    return hashlib.sha256("\n".join([*sorted(parts), *more]).encode()).hexdigest()


def record(project: ComposeProject, report: HostReport) -> str:
    """What the host keeps after a successful ``up``: JSON, a digest of what Compose read, all fingerprints."""
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
    """Why the project must be brought up, in the operator's words; empty when it runs as it must.

    ``recorded`` false leaves out the comparison with the host's record, for the look that precedes writing it.
    """
    if not report.engine.version:
        return ["the container engine does not answer" if report.engine.present else "there is no container engine"]
    reasons = [reason for service in project.services for reason in _service(service, report)]
    if recorded:
        reasons += [reason for service in project.services for reason in _left_over(service, report)]
    desired = {service.name for service in project.services}
    reasons += [f"{item.name} is not part of it" for item in report.containers if item.service not in desired]
    reasons += [f"{name} is in a dead network namespace" for name in stale_namespaces(report)]
    if recorded and not reasons:
        known = report.contents.get(project.record_path)
        if known is None:
            reasons.append("it was never brought up to the end")
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
    if service.built and report.images.get(container.image) != container.image_id:
        reasons.append(f"{service.name} runs an older image")
    return reasons


def _left_over(service: Service, report: HostReport) -> list[str]:
    container = report.container(service.name)
    present = container.variables if container else frozenset()
    return [f"{service.name} still has {name} set" for name in service.forbidden if name in present]
