"""Everything looked at once: each host by one command, each API by its own client, all at the same time.

A host that does not answer makes its own checks `UNKNOWN` and nothing else. Nothing is changed anywhere, and no mail
port is asked more than once (lesson 3).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from tailwart.checks import asking, backends, mailbox_facts, revision, tailnet, zone
from tailwart.checks import edge as edges
from tailwart.checks.backends import BACKENDS, BackendsFacts
from tailwart.checks.edge import EDGE, EdgeFacts
from tailwart.checks.keys import Key
from tailwart.checks.mailbox import MAILBOX
from tailwart.checks.mailbox_facts import MailboxFacts
from tailwart.checks.model import Book, CannotLook, Check, Result, Severity, Verdict
from tailwart.checks.revision import Code
from tailwart.checks.server import SERVER
from tailwart.checks.server_facts import ServerFacts
from tailwart.checks.serving import gather as gather_server
from tailwart.checks.tailnet import TAILNET
from tailwart.checks.zone import ZONE
from tailwart.connectors.shell import SshRunner
from tailwart.environment import Edge, Environment, SshTarget
from tailwart.errors import TailwartError, unexpected
from tailwart.hosts.report import HostReport
from tailwart.hosts.watch import Watch

T = TypeVar("T")
Notify = Callable[[str], None]

PLANES = ("mailbox", "server", "backends", "edge", "tailnet", "zone")


@dataclass(frozen=True, slots=True)
class Age:
    """Until when something of the installation is valid: the certificate of a mail domain."""

    name: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """How the last run of a job on the mailbox host ended, and when: the backup, the drill."""

    name: str
    ended: datetime
    succeeded: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of one look, in the order of the planes; ``began`` is UTC, ``seconds`` how long it took.

    ``absent`` says why a role has no checks; ``measures`` are numbers of the server, by the names of `checks.measures`.
    """

    results: tuple[Result, ...]
    began: datetime
    seconds: float
    absent: tuple[str, ...] = ()
    ages: tuple[Age, ...] = ()
    jobs: tuple[Job, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)
    keys: tuple[Key, ...] = ()

    def of(self, *verdicts: Verdict) -> list[Result]:
        """The results with one of these verdicts."""
        return [item for item in self.results if item.verdict in verdicts]

    @property
    def failed(self) -> bool:
        """Whether something required is wrong."""
        return any(item.fails for item in self.results)

    @property
    def blind(self) -> bool:
        """Whether something required could not be looked at."""
        return any(item.check.severity is Severity.REQUIRED for item in self.of(Verdict.UNKNOWN))

    @property
    def exit_code(self) -> int:
        """1 when something required is wrong, 2 when it could not be looked at, 0 otherwise."""
        return 1 if self.failed else 2 if self.blind else 0

    def document(self) -> dict[str, Any]:
        """The outcome as plain values, for JSON."""
        return {
            "began": f"{self.began:%Y-%m-%dT%H:%M:%SZ}",
            "seconds": round(self.seconds, 1),
            "failed": self.failed,
            "could_not_look": self.blind,
            "counts": {verdict.value: len(self.of(verdict)) for verdict in Verdict},
            "skipped_roles": list(self.absent),
            "certificates": [{"domain": age.name, "until": f"{age.until:%Y-%m-%dT%H:%M:%SZ}"} for age in self.ages],
            "jobs": [
                {"name": job.name, "ended": f"{job.ended:%Y-%m-%dT%H:%M:%SZ}", "succeeded": job.succeeded}
                for job in self.jobs
            ],
            "measures": dict(self.measures),
            "dkim_keys": [key.document() for key in self.keys],
            "results": [item.document() for item in self.results],
        }


@dataclass(frozen=True, slots=True)
class Looked:
    """What one task found."""

    results: tuple[Result, ...]
    ages: tuple[Age, ...] = ()
    jobs: tuple[Job, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to ask, and what its answer means. ``name`` is shown while it is awaited."""

    name: str
    look: Callable[[], Looked]


def catalogue() -> tuple[Check, ...]:
    """Every check with a fixed id, in order; those of `tailwart dns check` come with its findings."""
    return tuple(
        check
        for checks in (book.checks() for book in (MAILBOX, SERVER, BACKENDS, EDGE, TAILNET, ZONE))
        for check in checks
    )


def chooser(
    only: Iterable[str], *, deep: bool = False, among: Sequence[Check] | None = None
) -> Callable[[Check], bool]:
    """A filter by plane (``edge``) or id (``edge.listens``); everything without a word.

    A slow check is chosen by its own id, or with ``deep``; ``among`` are other checks than the catalogue's. Raises
    `TailwartError` for a word that names nothing.
    """
    words = tuple(only)
    checks = catalogue() if among is None else among
    planes = dict.fromkeys(check.plane for check in checks)
    known = {*planes, *(check.id for check in checks)}
    for word in words:
        if word not in known and not (word.startswith("zone.") and "zone" in planes):
            raise TailwartError(
                f"there is no check {word!r}",
                expected=f"one of {', '.join(planes)}, or an id such as {checks[0].id}",
                remedy="tailwart doctor --list",
            )
    return lambda check: check.id in words or ((not words or check.plane in words) and (deep or not check.deep))


def doctor(
    environment: Environment, only: Iterable[str] = (), notify: Notify = lambda _: None, *, deep: bool = False
) -> Outcome:
    """Look at everything that the installation has, ``only`` at what `chooser` lets through."""
    words = tuple(only)
    chosen = chooser(words, deep=deep)
    planes = {word.partition(".")[0] for word in words} or set(PLANES)
    began, started = datetime.now(UTC), time.monotonic()
    tasks = [task for task in _tasks(environment, chosen) if task.name.partition(" ")[0] in planes]
    left = [task.name for task in tasks]

    def run(task: Task) -> Looked:
        found = task.look()
        left.remove(task.name)
        if left:
            notify(f"{task.name}: {len(found.results)} checks; waiting for {', '.join(left)}")
        return found

    with ThreadPoolExecutor(max_workers=max(1, len(tasks))) as pool:
        looked = list(pool.map(run, tasks))
    return Outcome(
        tuple(result for found in looked for result in found.results),
        began,
        time.monotonic() - started,
        tuple(_absent(environment)),
        tuple(age for found in looked for age in found.ages),
        tuple(job for found in looked for job in found.jobs),
        {name: value for found in looked for name, value in found.measures.items()},
        tuple(key for found in looked for key in found.keys),
    )


def _tasks(environment: Environment, chosen: Callable[[Check], bool]) -> Iterator[Task]:
    code = revision.here(environment.domain)
    if environment.mailbox_ssh is not None:
        yield Task("mailbox", partial(_mailbox, environment, environment.mailbox_ssh, code, chosen))
        yield Task("server", partial(_server, environment, environment.mailbox_ssh, chosen))
    if environment.backends_ssh is not None:
        yield Task("backends", partial(_backends, environment, environment.backends_ssh, code, chosen))
    for edge in environment.edges:
        yield Task(f"edge {edge.name}", partial(_edge, environment, edge, code, chosen))
    if environment.ts_oauth_client_id or environment.ts_api_key:
        yield Task("tailnet", partial(_tailnet, environment, chosen))
    yield Task("zone", partial(_zone, environment, chosen))


def _absent(environment: Environment) -> Iterator[str]:
    if environment.mailbox_ssh is None:
        yield "mailbox: MAILBOX_SSH is not set"
    if environment.backends_ssh is None:
        yield "backends: BACKENDS_SSH is not set"
    if not environment.edges:
        yield "edge: EDGES is not set"
    if not (environment.ts_oauth_client_id or environment.ts_api_key):
        yield "tailnet: neither TS_OAUTH_CLIENT_ID nor TS_API_KEY is set"


def _mailbox(environment: Environment, target: SshTarget, code: Code, chosen: Callable[[Check], bool]) -> Looked:
    watch = mailbox_facts.watch(environment, deep=_deep(MAILBOX, chosen))

    def ask() -> MailboxFacts:
        return MailboxFacts(environment, *_report(environment, target, watch), code)

    facts = answered(ask)
    jobs = () if isinstance(facts, TailwartError) else tuple(Job(*job) for job in facts.jobs())
    return Looked(tuple(MAILBOX.run(facts, "mailbox", chosen)), jobs=jobs)


def _server(environment: Environment, target: SshTarget, chosen: Callable[[Check], bool]) -> Looked:
    def ask() -> ServerFacts:
        with SshRunner(environment, target) as run:
            return gather_server(run, environment, deep=_deep(SERVER, chosen))

    facts = answered(ask)
    results = tuple(SERVER.run(facts, "mailbox", chosen))
    if isinstance(facts, TailwartError):
        return Looked(results)
    try:
        return Looked(results, tuple(Age(*age) for age in facts.ages()), keys=facts.dkim_keys, measures=facts.measures)
    except CannotLook:
        return Looked(results, measures=facts.measures)


def _backends(environment: Environment, target: SshTarget, code: Code, chosen: Callable[[Check], bool]) -> Looked:
    def ask() -> BackendsFacts:
        with SshRunner(environment, target) as run:
            return backends.gather(run, environment, code)

    return Looked(tuple(BACKENDS.run(answered(ask), "backends", chosen)))


def _edge(environment: Environment, edge: Edge, code: Code, chosen: Callable[[Check], bool]) -> Looked:
    watch = edges.watch(environment, edge, deep=_deep(EDGE, chosen))

    def ask() -> EdgeFacts:
        return EdgeFacts(environment, edge, *_report(environment, edge.ssh, watch), code)

    return Looked(tuple(EDGE.run(answered(ask), edge.name, chosen)))


def _tailnet(environment: Environment, chosen: Callable[[Check], bool]) -> Looked:
    return Looked(tuple(TAILNET.run(answered(partial(tailnet.gather, environment)), "tailnet", chosen)))


def _zone(environment: Environment, chosen: Callable[[Check], bool]) -> Looked:
    return Looked(tuple(zone.results(answered(partial(zone.gather, environment)), chosen)))


def _deep(book: Book[T], chosen: Callable[[Check], bool]) -> bool:
    """Whether a slow check of the book is chosen: only then are its facts asked for."""
    return any(check.deep and chosen(check) for check in book.checks())


def answered(ask: Callable[[], T]) -> T | TailwartError:
    """The answer, or the reason why there is none."""
    try:
        return ask()
    except TailwartError as error:
        return error
    except TimeoutError:
        return TailwartError(
            "no answer in time", seen=f"none within {asking.PATIENCE:.0f} s", remedy="look at its load"
        )
    # One look must not end the others.
    except Exception as error:
        return unexpected(error, "report what TAILWART_DEBUG=1 prints")


def _report(environment: Environment, target: SshTarget, watch: Watch) -> tuple[HostReport, datetime, datetime]:
    with SshRunner(environment, target) as run:
        return asking.report(run, watch)
