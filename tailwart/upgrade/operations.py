"""The upgrade as pyinfra operations of the mailbox role."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from functools import partial

from pyinfra import logger
from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from tailwart.connectors.shell import SshRunner
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.project import ComposeProject
from tailwart.hosts.report import HostReport
from tailwart.hosts.watch import Watch
from tailwart.mailbox import names
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import command
from tailwart.report import detail
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import bootstrap
from tailwart.stalwart.settings.declaration import administrator_address
from tailwart.upgrade import copies, step, upgrading
from tailwart.upgrade.step import Images
from tailwart.upgrade.upgrading import Mailbox

_COMPOSE = f"{names.DIRECTORY}/compose.yaml"
WATCH = bootstrap.WATCH | Watch(contents=(_COMPOSE, step.NOTE, step.REFUSED))
"""What the operations need to know of the host; part of the `Watch` of the role."""


def mailbox(environment: Environment, project: ComposeProject) -> Mailbox:
    """The mailbox of these settings, as an upgrade has to know it."""
    backends = environment.backends_ssh
    database = None
    if environment.stalwart_store == "postgres" and backends is not None:
        database = copies.Database(
            partial(SshRunner, environment, backends), environment.stalwart_db_name, environment.stalwart_db_user
        )
    return Mailbox(
        project=project,
        images=Images(str(environment.stalwart_image), str(environment.tailscale_image)),
        services=environment.mail_services.public,
        recipient=administrator_address(environment),
        embedded=environment.stalwart_store == "rocksdb",
        database=database,
    )


@operation()
def prepare(mailbox: Mailbox, watch: Watch) -> Generator[FunctionCommand, None, None]:
    """Before the files of the mailbox: where its images change, whatever can be done while it still serves.

    ``watch`` is the role's, so that its operations share one remote command; it must hold `WATCH`.
    """
    host = ctx_host.get()
    report = observe(host, watch)
    before = current(report)
    if before is None or before == mailbox.images:
        host.noop("the images are those that run")
        return
    if before.stalwart != mailbox.images.stalwart:
        if step.refused(_text(report, step.REFUSED)) == mailbox.images.stalwart:
            raise _refused(mailbox.images.stalwart, before.stalwart)
        step.check(step.short(before.stalwart), step.short(mailbox.images.stalwart))
    note = step.Note(before, mailbox.images)
    announce(host, f"{note.describe}; copy of the data: {mailbox.copy or 'none'}")
    log = partial(_log, host)
    yield command(host, lambda run: upgrading.prepare(run, mailbox, before, log), "prepare the upgrade")


@operation()
def conclude(mailbox: Mailbox, watch: Watch) -> Generator[FunctionCommand, None, None]:
    """After the containers are up: images that are not proven yet are proven, or taken back."""
    host = ctx_host.get()
    if step.parse(_text(observe(host, watch), step.NOTE)) is None:
        host.noop("no upgrade is under way")
        return
    log = partial(_log, host)
    yield command(host, lambda run: upgrading.conclude(run, mailbox, log), "prove the upgrade")


def around(mailbox: Mailbox) -> Callable[[Runner, Callable[[str], None]], AbstractContextManager[None]]:
    """For `compose.up`: the queue is held; an upgrade that does not come up is taken back."""
    host = ctx_host.get()

    def surrounded(run: Runner, _: Callable[[str], None]) -> AbstractContextManager[None]:
        return upgrading.guarded(run, partial(_log, host), mailbox)

    return surrounded


def current(report: HostReport) -> Images | None:
    """The images that a mailbox which has been set up runs with; None for any other host."""
    if not bootstrap.initialised(report):
        return None
    return step.images(_text(report, _COMPOSE))


def _text(report: HostReport, path: str) -> str:
    return report.contents.get(path, b"").decode(errors="replace")


def _log(host: Host, line: str) -> None:
    detail(host, line)
    host.log(line, log_func=logger.warning if line.startswith("!") else logger.info)


def _refused(image: str, before: str) -> TailwartError:
    return TailwartError(
        f"{image} failed its proof on this host before, and was taken back",
        seen=f"{step.REFUSED} names it; {before} serves",
        expected="another image, or the word to try it again",
        remedy=f"set STALWART_IMAGE back to {before}, or run `tailwart upgrade`, which tries it again",
    )
