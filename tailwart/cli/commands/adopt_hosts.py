"""The hosts change hands, and back: what `tailwart adopt` does after the question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from tailwart.adoption import edges, handover
from tailwart.adoption import journal as journals
from tailwart.adoption.edges import EdgeHandover, EdgeHost
from tailwart.adoption.found import Mailbox
from tailwart.adoption.handover import HOST, Handover
from tailwart.adoption.journal import Journal, Step
from tailwart.cli.commands.deploying import deploy
from tailwart.connectors.shell import SshRunner
from tailwart.edge import plan as edge_plan
from tailwart.edge.serve import activate, stage
from tailwart.environment import Environment, SshTarget, lock, selected_path
from tailwart.errors import TailwartError
from tailwart.mailbox.login import SIDECAR_KEY
from tailwart.mailbox.project import compose_project
from tailwart.operations import hostfiles, nodekey
from tailwart.operations.compose import bring_up
from tailwart.printing import say
from tailwart.removal import hosts
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import bootstrap
from tailwart.stalwart.mailbox_host import mailbox_host
from tailwart.stalwart.settings.stores import mark_redis
from tailwart.tailnet import minting

_COMMAND = "adopt"


def hand_over(
    environment: Environment, mailbox: Mailbox | None, found: Sequence[EdgeHost], begun: Mapping[str, Journal]
) -> None:
    """The mailbox, then the edges, then a whole deploy. Raises `TailwartError`; what was not proven went back."""
    if mailbox is not None or (HOST in begun and begun[HOST].step < Step.ADOPTED):
        _mailbox(environment, mailbox, begun.get(HOST))
    for edge in found:
        journal = begun.get(edge.name)
        if journal is None and (not edge.servers or edge.problem):
            continue
        if journal is None or journal.step < Step.SERVING:
            with SshRunner(environment, _target(environment, edge.name)) as run:
                _edge(environment, run, journal or edges.begin(edge)).execute()
    if not deploy(command=_COMMAND):
        raise TailwartError(
            "the installation is taken over and serves; the deploy after it did not end well",
            seen="the last lines of the deploy, above",
            remedy="fix the error, then run `tailwart adopt --yes` again; or go back with `tailwart adopt --back`",
        )
    _finish(environment, found)
    say("Taken over. Next: tailwart doctor; `tailwart adopt --back` is the way back")


def go_back(environment: Environment, begun: Mapping[str, Journal]) -> None:
    """The edges first: the old ones pass mail on to the mailbox by its name, whoever has it."""
    for name, journal in begun.items():
        if name != HOST:
            with SshRunner(environment, _target(environment, name)) as run:
                _edge(environment, run, journal).back()
    if HOST in begun:
        with mailbox_host(environment, changes=True) as run:
            _handover(environment, run, begun[HOST]).back()


def _mailbox(environment: Environment, mailbox: Mailbox | None, begun: Journal | None) -> None:
    with mailbox_host(environment, changes=True) as run:
        # Read again under the lock: another run may have ended in between.
        journal = journals.read(run, HOST) or begun
        if journal is None or (mailbox is not None and journal.step is Step.BEGUN and not journal.returning):
            assert mailbox is not None, "it was looked at"
            journal = handover.begin(mailbox)
        _handover(environment, run, journal).execute()
        if environment.redis_url:
            # What the server has used so far is its own: a deploy refuses an index that is full and has no mark.
            mark_redis(run, environment.redis_url.get_secret_value(), environment.mail_host)
    if not deploy("--limit", "tailnet", "--limit", "mailbox", command=_COMMAND):
        raise TailwartError(
            "the mailbox is taken over and serves; its settings are not finished",
            seen="the last lines of the deploy, above",
            remedy="fix the error, then run `tailwart adopt --yes` again; or go back with `tailwart adopt --back`",
        )


def _handover(environment: Environment, run: Runner, journal: Journal) -> Handover:
    project = compose_project(environment)

    def prepare() -> None:
        hostfiles.write(run, project.files, project.directories)
        bootstrap.prepare(run)

    def up() -> None:
        # Only a sidecar without a state of its own has to join.
        nodekey.provide(run, SIDECAR_KEY, partial(minting.sidecar_key, environment))
        bring_up(run, project)

    return Handover(
        run,
        journal,
        images=(str(environment.stalwart_image), str(environment.tailscale_image)),
        prepare=prepare,
        up=up,
        remove=lambda: hosts.remove(run, hosts.MAILBOX, with_data=False),
        log=_log,
    )


def _edge(environment: Environment, run: Runner, journal: Journal) -> EdgeHandover:
    edge = next(one for one in environment.edges if one.name == journal.host)

    plan = edge_plan.of(environment, edge)

    def trust(kind: str, binary: lock.Binary) -> None:
        lock.trust(lock.beside(selected_path()), kind, binary, accepted=binary.sha256 == environment.caddy_sha256)

    def activate_plan() -> None:
        if not run("docker info >/dev/null 2>&1", timeout=60).ok and not deploy("--limit", edge.name, command=_COMMAND):
            raise TailwartError(f"{edge.name} was not deployed", seen="the last lines of the deploy, above")
        activate(run, plan, trust)

    return EdgeHandover(
        run,
        journal,
        # A host without an engine gets it with the whole role, while nothing serves there.
        lambda: stage(run, plan) if run("docker info >/dev/null 2>&1", timeout=60).ok else None,
        activate_plan,
        remove=lambda: hosts.remove(run, hosts.EDGE, with_data=False),
        log=_log,
    )


def _finish(environment: Environment, found: Sequence[EdgeHost]) -> None:
    for edge in found:
        with SshRunner(environment, _target(environment, edge.name)) as run:
            if (journal := journals.read(run, edge.name)) is not None:
                _edge(environment, run, journal).adopted()
    with mailbox_host(environment) as run:
        if (journal := journals.read(run, HOST)) is not None:
            _handover(environment, run, journal).adopted()


def _target(environment: Environment, name: str) -> SshTarget:
    return next(edge.ssh for edge in environment.edges if edge.name == name)


def _log(line: str) -> None:
    say(line, err=True)
