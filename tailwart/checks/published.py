"""What STATUS_PAGE=on puts on the mailbox host: two scripts, their units, and what they ask. Pure.

The host refreshes what needs nothing but itself and the server's login that it has anyway; what the operator's machine
saw of edges, tailnet and zone is shown as of then. Titles, remedies and limits are those of the checks: the host knows
only how to look.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from tailwart.backup.names import LAST_BACKUP, LAST_DRILL
from tailwart.checks import certificates, hosts, mailbox, server
from tailwart.checks.mailbox import MAILBOX
from tailwart.checks.mailbox_facts import endpoints
from tailwart.checks.model import Check
from tailwart.checks.namespace import dial
from tailwart.checks.server import SERVER
from tailwart.checks.server_facts import served_names
from tailwart.environment import Environment
from tailwart.hosts import templates, units
from tailwart.hosts.files import HostDirectory, HostFile, paths
from tailwart.hosts.watch import Watch
from tailwart.mailbox import names as mailbox_names
from tailwart.mailbox import status as names
from tailwart.network import STATUS_PORT
from tailwart.runner import Completed
from tailwart.stalwart.accounts import queued
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.protocol.jmap import FOUND, MAX_OBJECTS, Call
from tailwart.stalwart.settings.declaration import administrator_address

_CHECKS = (
    "mailbox.containers-healthy",
    "mailbox.http-answers",
    "mailbox.stores-reached",
    "mailbox.smarthost-reached",
    "mailbox.ipv6-egress",
    "mailbox.disk",
    "mailbox.memory",
    "mailbox.no-reboot-due",
    "mailbox.backup",
    "mailbox.drill",
    "server.queue",
    "server.tasks",
    "server.certificate",
)
"""The checks that the host makes itself."""
_AFTER = ("Wants=docker.service", "After=docker.service")


@dataclass(frozen=True, slots=True)
class Published:
    """The status page on the mailbox host."""

    files: tuple[HostFile, ...]
    directories: tuple[HostDirectory, ...]
    units: tuple[units.Unit, ...]

    @property
    def watch(self) -> Watch:
        """What its operations need to know of the host."""
        probe = "command -v busybox || :"
        found = Watch(tuple(paths(self.files, self.directories)), probes=((names.PROBE, probe),))
        for unit in self.units:
            found |= unit.watch
        return found


def published(environment: Environment) -> Published:
    """The status page of an installation with STATUS_PAGE."""
    here = names.DIRECTORY
    return Published(
        files=(
            HostFile(f"{here}/settings", _settings(environment)),
            HostFile(f"{here}/checks", "".join(f"{line}\n" for line in _catalogue(environment))),
            HostFile(f"{here}/host.sh", hosts.SCRIPT, "0755"),
            HostFile(f"{here}/dial.sh", f"{_dial(environment)}\n", "0755"),
            HostFile(f"{here}/ask.sh", _ask(), "0755"),
            HostFile(f"{here}/waiting.html", templates.page("status/waiting.html.j2", domain=environment.domain)),
        ),
        # What is served is readable by the program that serves it, which is nobody; the rest is no secret.
        directories=(HostDirectory(here), HostDirectory(f"{here}/www")),
        units=(
            units.timer(
                names.REFRESH,
                description="Refreshes the status page and mails what changed",
                script=HostFile(f"{here}/refresh.sh", templates.text("status/refresh.sh"), "0755"),
                schedule=("OnBootSec=2min", "OnUnitInactiveSec=5min", "RandomizedDelaySec=20s"),
                unit=_AFTER,
                options=(*units.sandbox(writes=(here,)), "TimeoutStartSec=4min", "UMask=0022", "Nice=10"),
            ),
            units.service(
                names.WEB,
                description="Serves the status page to the tailnet",
                script=HostFile(f"{here}/serve.sh", templates.text("status/serve.sh"), "0755"),
                unit=(*_AFTER, "StartLimitIntervalSec=0"),
                options=("Restart=always", "RestartSec=5", *units.sandbox()),
            ),
        ),
    )


def _catalogue(environment: Environment) -> Iterator[str]:
    known = {check.id: check for check in (*MAILBOX.checks(), *SERVER.checks())}
    for identifier in _CHECKS:
        if _applies(identifier, environment):
            yield "\t".join(_row(known[identifier]))


def _row(check: Check) -> tuple[str, str, str]:
    return check.id, check.title, check.remedy


def _applies(identifier: str, environment: Environment) -> bool:
    match identifier:
        case "mailbox.backup" | "mailbox.drill":
            return environment.backup_target is not None
        case "mailbox.smarthost-reached":
            return environment.smarthost_address is not None
        case "mailbox.stores-reached":
            return any(each.what not in _BEYOND for each in endpoints(environment))
        case "server.certificate":
            return environment.acme_directory is not None
    return True


_BEYOND = ("SMARTHOST_ADDRESS", "PROBE_IPV6")


def _settings(environment: Environment) -> str:
    values = {
        "DOMAIN": environment.domain,
        "RECIPIENT": administrator_address(environment),
        "PORT": str(STATUS_PORT),
        "PAGE_HOST": environment.magic_host,
        "IMAGE": names.IMAGE,
        "SIDECAR": mailbox_names.SIDECAR,
        "SERVER": mailbox_names.CONTAINER,
        "HEALTH": f"{mailbox_names.BASE}/healthz/live",
        "LAST_BACKUP": LAST_BACKUP,
        "LAST_DRILL": LAST_DRILL,
        "BACKUP_AGE": f"{mailbox.BACKUP_AGE.total_seconds():.0f}",
        "DRILL_AGE": f"{mailbox.DRILL_AGE.total_seconds():.0f}",
        "LEAST_DISK": str(hosts.LEAST_DISK),
        "FULL": str(hosts.FULL),
        "LEAST_MEMORY": str(hosts.LEAST_MEMORY),
        "QUEUE_LONG": str(server.LONG),
        "QUEUE_STUCK": f"{server.STUCK.total_seconds():.0f}",
        "SERVED": " ".join(names for domain in environment.domains for names in served_names(domain)),
        # An authority of one's own may sign for hours.
        "CERTIFICATE_SOON": "0" if environment.offline else f"{certificates.SOON.total_seconds():.0f}",
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def _dial(environment: Environment) -> str:
    return dial((each.what, each.host, each.port) for each in endpoints(environment))


def _ask() -> str:
    """The queue, the tasks and the certificates by the login that the deploy has on the host anyway."""
    calls = [
        *queued.reading(MAX_OBJECTS),
        Call("Task", "query", {"limit": MAX_OBJECTS}),
        Call("Task", "get", {"ids": FOUND}),
        Call("Certificate", "get", {"ids": None}),
    ]
    script, stdin, _ = ContainerTransport(_nobody, stored_login(), seconds=20).command(Client.bodies(calls), "answered")
    return f"printf '%s' {shlex.quote(stdin)} | {{ {script}; }}\n"


def _nobody(script: str, **_: object) -> Completed:
    """Only the command is wanted here; the host runs it."""
    raise AssertionError(script)
