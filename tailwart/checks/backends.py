"""The stores' host: what the deploy installed there, role, database and bucket, and from where the stores answer."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from tailwart.backends import buckets, garage_admin, login, operations, packages
from tailwart.backends import plan as backends_plan
from tailwart.backends.addresses import own_addresses
from tailwart.backends.garage_admin import Answer
from tailwart.backends.operations import Database, Found
from tailwart.backends.plan import EARLY, BackendsPlan
from tailwart.backends.servers import Server
from tailwart.checks import asking, hosts
from tailwart.checks.hosts import HostFacts
from tailwart.checks.model import Book, CannotLook, NotApplicable, Severity
from tailwart.checks.model import Found as Lines
from tailwart.checks.revision import Code
from tailwart.edge import listeners
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.hosts import membership
from tailwart.hosts.files import pending
from tailwart.hosts.project import drift
from tailwart.hosts.report import HostReport, Probe
from tailwart.hosts.watch import Watch
from tailwart.network import TAILNET_V4, TAILNET_V6
from tailwart.runner import Runner

T = TypeVar("T")

_PROGRAMS = {"postgres": "postgres", "redis": "redis-server", "valkey": "valkey-server"}
# A program whose file was replaced since it was started: the kernel marks its link.
_REPLACED = r"""
for link in /proc/[0-9]*/exe; do
  target=$(readlink "$link" 2>/dev/null) || continue
  case $target in *' (deleted)') target=${target%' (deleted)'}; echo "${target##*/}" ;; esac
done | sort -u
:
"""
# Of Garage: those between its nodes and for administration.
_INNER_PORTS = (3901, 3903)


@dataclass(frozen=True)
class BackendsFacts(HostFacts):
    """The host as it is. ``database`` and ``bucket`` are None where the deploy makes none."""

    environment: Environment
    report: HostReport
    asked: datetime
    answered: datetime
    database: Found | TailwartError | None = None
    bucket: Sequence[Answer] | TailwartError | None = None
    code: Code | None = None

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        return "backends"

    @cached_property
    def plan(self) -> BackendsPlan:
        """What the host should have."""
        return backends_plan.of(self.environment)

    @property
    def found(self) -> Found:
        """What Postgres says; raises `CannotLook` or `NotApplicable` where it says nothing."""
        return _answer(self.database, "STALWART_STORE=rocksdb keeps the data in the server itself")

    def servers(self) -> Iterator[Server]:
        """The services that the deploy configures."""
        yield EARLY
        yield from (each for each in (self.plan.postgres, self.plan.redis) if each is not None)

    def ports(self) -> Iterator[tuple[str, int]]:
        """Name and port of every store that the deploy installs."""
        if self.plan.postgres:
            yield "PostgreSQL", self.plan.postgres.port
        if self.plan.redis:
            yield self.plan.redis.title, self.plan.redis.port
        if self.plan.garage:
            yield "Garage", self.plan.garage.port


def watch(environment: Environment) -> Watch:
    """Everything that the checks ask of the host, in one script."""
    probes = (("listeners", "ss -Hlntp"), ("replaced", _REPLACED), *hosts.PROBES)
    plan = backends_plan.of(environment)
    return (plan.watch if plan.stores else Watch()) | Watch(probes=probes)


def gather(run: Runner, environment: Environment, code: Code | None = None) -> BackendsFacts:
    """Ask the host, Postgres over the tailnet, and Garage. Raises `TailwartError` when the host cannot be reached."""
    report, asked, answered = asking.report(run, watch(environment))
    database: Found | TailwartError | None = None
    if wanted := backends_plan.database(environment):
        superuser = environment.postgres_admin_url
        store = Database(*wanted, superuser=superuser.get_secret_value() if superuser else "")
        database = _tried(lambda: operations.read(run, store))
    bucket: Sequence[Answer] | TailwartError | None = None
    if needed := backends_plan.bucket(environment):
        api = buckets.api_of(environment)
        bucket = _tried(lambda: buckets.read(run, api, needed))
    return BackendsFacts(environment, report, asked, answered, database, bucket, code)


def _tried(ask: Callable[[], T]) -> T | TailwartError:
    try:
        return ask()
    except TailwartError as error:
        return error
    except TimeoutError:
        return TailwartError("no answer in time")


def _answer(found: T | TailwartError | None, absent: str) -> T:
    if found is None:
        raise NotApplicable(absent)
    if isinstance(found, TailwartError):
        raise CannotLook("\n".join([found.what, *found.seen.splitlines()[:2]]))
    return found


BACKENDS: Book[BackendsFacts] = Book("backends")
_DEPLOY = "pyinfra inventory.py deploy.py --limit backends"


@BACKENDS.check(
    "deployed",
    "The stores run as the deploy has set them up",
    cause="Something was changed in .env and not deployed, or by hand on the host.",
    remedy=_DEPLOY,
)
def _(facts: BackendsFacts) -> Lines:
    _need_stores(facts)
    facts.probe(packages.PROBE)
    yield from (f"{name} is not installed" for name in packages.missing(facts.plan.stores, facts.report))
    status = facts.report.probes.get(membership.PROBE, Probe(1, b""))
    step = membership.step(
        facts.plan.membership, status.exit_code != 127, status.exit_code, status.output.decode(errors="replace")
    )
    if step is not membership.Step.NOTHING:
        yield f"it has to {step.value}"
        return
    for server in facts.servers():
        yield from server.drift(facts.report)
    if facts.plan.garage:
        project = facts.plan.garage.project(own_addresses(facts.report))
        files, directories = pending(facts.report, project.files, project.directories)
        yield from (f"{path} differs" for path in [*(f.path for f in files), *(d.path for d in directories)])
        yield from drift(project, facts.report)


@BACKENDS.check(
    "database",
    "The mailbox's role and database are there, and its password counts over the tailnet",
    cause="The password in .env is another one than the server's, or the server listens or trusts otherwise.",
    remedy=_DEPLOY,
)
def _(facts: BackendsFacts) -> Lines:
    found = facts.found
    wanted = backends_plan.database(facts.environment)
    assert wanted is not None, "there is an answer"
    desired, endpoint = wanted
    yield from (step.description for step in found.steps(desired))
    if found.attempts.right is None:
        raise CannotLook("no login was tried: the host has no psql")
    if seen := login.problem(endpoint, found.attempts, found.current.settings):
        yield f"{seen.what}: {seen.seen}"


@BACKENDS.check(
    "loopback-trust",
    "PostgreSQL asks for a password on loopback as well",
    cause="pg_hba.conf trusts addresses: whoever runs a program on the host reads all mail, and any password passes.",
    remedy="replace trust by scram-sha-256 in pg_hba.conf, then SELECT pg_reload_conf()",
    severity=Severity.RECOMMENDED,
)
def _(facts: BackendsFacts) -> Lines:
    yield from (f"{address} is trusted" for address in facts.found.current.trusted)


@BACKENDS.check(
    "bucket",
    "The bucket for message bodies is there, and its key reads and writes it",
    cause="Bucket, key or grant were removed, or Garage was set up anew.",
    remedy=_DEPLOY,
)
def _(facts: BackendsFacts) -> Lines:
    wanted = backends_plan.bucket(facts.environment)
    found = _answer(facts.bucket, "the deploy makes no bucket: neither its own Garage nor GARAGE_ADMIN_TOKEN")
    assert wanted is not None, "there is an answer"
    if change := garage_admin.plan(wanted, found):
        yield f"missing: {change.description}"


@BACKENDS.check(
    "private",
    "The stores listen on loopback and the tailnet alone",
    cause="A store that listens on every address is open to the host's network, and to the internet without a filter.",
    remedy=_DEPLOY + "; what another program has opened: `ss -ltnp` on the host",
)
def _(facts: BackendsFacts) -> Lines:
    _need_stores(facts)
    listening = listeners.parse(facts.probe("listeners").splitlines())
    heard = {item.port for item in listening}
    yield from (f"{name} does not listen on {port}" for name, port in facts.ports() if port not in heard)
    ours = dict.fromkeys(_INNER_PORTS, "Garage") if facts.plan.garage else {}
    ours |= {port: name for name, port in facts.ports()}
    for address, port in sorted({(item.address, item.port) for item in listening if item.port in ours}):
        if not _private(address):
            yield f"{ours[port]} listens on {address}:{port}"


@BACKENDS.check(
    "versions",
    "The stores run the programs that are installed",
    cause="A security update counts from the next start of the service on.",
    remedy="systemctl restart postgresql redis-server (on the host, what is named), at a time of your choice",
    severity=Severity.RECOMMENDED,
)
def _(facts: BackendsFacts) -> Lines:
    replaced = set(facts.probe("replaced").split())
    programs = {_PROGRAMS[name] for name in facts.plan.stores if name in _PROGRAMS} or set(_PROGRAMS.values())
    yield from (f"{name} was updated since it was started" for name in sorted(programs & replaced))


def _need_stores(facts: BackendsFacts) -> None:
    if not facts.plan.stores:
        raise NotApplicable("BACKENDS_INSTALL is not set: the stores are run by others")


def _private(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0].strip("[]"))
    except ValueError:
        return False
    return found.is_loopback or found in TAILNET_V4 or found in TAILNET_V6


hosts.enter(BACKENDS)
