"""The command `tailwart adopt`: looking, the `.env`, the plan and the question. `adopt_hosts` changes the hosts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from tailwart.adoption import describing, edges, found, looking, server
from tailwart.adoption import journal as journals
from tailwart.adoption.describing import Description
from tailwart.adoption.edges import EdgeHost
from tailwart.adoption.found import Mailbox
from tailwart.adoption.handover import HOST
from tailwart.adoption.journal import Journal, Step
from tailwart.adoption.looking import Look
from tailwart.cli.commands import adopt_hosts, adopt_plans
from tailwart.cli.commands.init import Interview
from tailwart.connectors.shell import SshRunner
from tailwart.environment import Environment, SshTarget, load, selected_path
from tailwart.environment.editing import edited, values, write
from tailwart.environment.keys import edge_key
from tailwart.environment.load import unfinished
from tailwart.errors import TailwartError
from tailwart.initial import probes
from tailwart.initial.questions import pending
from tailwart.mailbox import names
from tailwart.printing import say
from tailwart.runner import Runner
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, Login, login
from tailwart.stalwart.protocol.failures import LoginRefused
from tailwart.stalwart.protocol.kinds import KINDS
from tailwart.stalwart.protocol.live import Live

_HEAD = "# Settings of one installation, as `tailwart adopt` has found it. Every key: tailwart env example\n"
_NOTHING = "there is nothing to take over"


@dataclass(slots=True)
class Installation:
    """What is on the hosts: the mailbox unless it has changed hands already, the edges, and how far each has come."""

    mailbox: Mailbox | None = None
    login: Login | None = field(default=None, repr=False)
    edges: list[EdgeHost] = field(default_factory=list)
    journals: dict[str, Journal] = field(default_factory=dict)

    def pending(self) -> bool:
        """Whether there is anything to hand over, or to finish."""
        begun = any(journal.step < Step.ADOPTED for journal in self.journals.values())
        return begun or self.mailbox is not None or any(edge.servers for edge in self.edges)


def adopt(mailbox: str | None, edge_targets: tuple[str, ...], *, dry: bool, yes: bool) -> None:
    """Look, write `.env`, show the plan, ask, hand over. Raises `TailwartError` where something prevents it."""
    path = selected_path()
    _targets(path, mailbox, edge_targets)
    installation = _look(path)
    for edge in installation.edges:
        if edge.name not in installation.journals and edge.problem:
            say(f"! {edge.name}: left alone: {edge.problem}", err=True)
    environment = _complete(path)
    if not installation.pending():
        raise TailwartError(
            _NOTHING,
            seen="both hosts are taken over" if installation.journals else "no old installation on these hosts",
            remedy="pyinfra inventory.py deploy.py; tailwart adopt --back is the way back",
        )
    if installation.mailbox is not None and HOST not in installation.journals:
        adopt_plans.show(environment, installation.mailbox, installation.login)
    for line in _steps(installation):
        say(line)
    if dry:
        say("Nothing was handed over. Next: tailwart adopt --yes")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise TailwartError("nothing was handed over", seen="no terminal to ask at", remedy="add --yes")
        click.confirm("Hand over now?", abort=True, err=True)
    adopt_hosts.hand_over(environment, installation.mailbox, installation.edges, installation.journals)


def back(*, yes: bool) -> None:
    """Every host that a hand-over has begun on goes back. Raises `TailwartError` where none was begun."""
    environment = load().environment
    begun = {}
    for name, target in _hosts(environment):
        with SshRunner(environment, target) as run:
            if (journal := journals.read(run, name)) is not None:
                begun[name] = journal
    if not begun:
        raise TailwartError(
            "there is no hand-over to take back",
            seen=f"no {journals.DIRECTORY} on the hosts of .env",
            remedy="tailwart adopt --dry shows what is there",
        )
    for name, journal in begun.items():
        for old in journal.old:
            say(f"{name}: {'unit' if old.unit else 'container'} {old.name} serves again")
    if not yes:
        if not sys.stdin.isatty():
            raise TailwartError("nothing was changed", seen="no terminal to ask at", remedy="add --yes")
        click.confirm("Go back now?", abort=True, err=True)
    adopt_hosts.go_back(environment, begun)
    say(
        "The old installation serves. Policy and zone are as they are: `tailwart tailnet restore` and `tailwart dns "
        "restore` have what was there before. Next: tailwart adopt, when you want to try again"
    )


def _targets(path: Path, mailbox: str | None, edge_targets: tuple[str, ...]) -> None:
    """The hosts of the command line, kept in `.env`; raises `TailwartError` where it names others."""
    present = values(path.read_text(encoding="utf-8")) if path.exists() else {}
    given = {"MAILBOX_SSH": mailbox} if mailbox else {}
    if edge_targets:
        known = [name for name in present.get("EDGES", "").split(",") if name]
        labels = known or [f"edge-{number}" for number in range(1, len(edge_targets) + 1)]
        given["EDGES"] = ",".join(labels)
        given |= {edge_key(name, "ssh"): target for name, target in zip(labels, edge_targets, strict=False)}
    for key, value in given.items():
        if key in present and present[key] != value:
            raise TailwartError(
                f"{path} names another {key}",
                seen=present[key],
                expected=value,
                remedy="leave the option out, or correct the file; TAILWART_ENV selects another one",
            )
    _keep(path, given)
    if "MAILBOX_SSH" not in {**present, **given}:
        raise TailwartError(
            "which host is the mailbox on?",
            seen=f"no MAILBOX_SSH in {path}",
            remedy="tailwart adopt --mailbox USER@HOST",
        )


def _look(path: Path) -> Installation:
    environment = unfinished(_values(path))
    installation = Installation()
    for name, target in _hosts(environment):
        probes.key_of(environment, target, _trusts)
        with SshRunner(environment, target) as run:
            mark = looking.new_mark()
            look = looking.parse(run(looking.script(mark), timeout=300).stdout, mark)
            if (journal := journals.read(run, name)) is not None:
                installation.journals[name] = journal
                say(f"{name}: a hand-over was begun: {journal.step.name.lower()}")
            if name != HOST:
                edge = edges.edge(name, look)
                installation.edges.append(edge)
                for server_found in edge.servers:
                    say(f"{name}: {server_found.describe()}")
                if journal is None:
                    _add(path, Description(edge.values()))
            else:
                installation.mailbox = _running(look, journal)
                if installation.mailbox is not None:
                    installation.login = _describe(path, run, installation.mailbox)
    if services := edges.services(installation.edges):
        _add(path, Description({"MAIL_SERVICES": services}))
    return installation


def _running(look: Look, journal: Journal | None) -> Mailbox | None:
    """The old mailbox; None where a hand-over goes on without it. Raises `TailwartError` where there is none."""
    if journal is not None and (journal.returning or journal.step > Step.BEGUN):
        return None
    try:
        return found.mailbox(look)
    except TailwartError:
        # It may have been stopped already by a run that was interrupted then.
        if journal is None:
            raise
        return None


def _describe(path: Path, run: Runner, mailbox: Mailbox) -> Login | None:
    """Write what the mailbox says, and its server where a login is known; the login, None without one."""
    for line in mailbox.describe():
        say(f"{HOST}: {line}")
    said = describing.of_mailbox(mailbox)
    present = _values(path)
    accepted, live, typed = _signed_in(run, mailbox, present)
    if live is not None:
        said.values |= typed
        if domain := present.get("DOMAIN"):
            said.values["DOMAIN"] = domain
        server.describe(said, live, mailbox.stalwart.environment)
    # People's accounts stay the server's own.
    said.values.setdefault("ACCOUNTS", "")
    _add(path, said)
    return accepted


def _signed_in(
    run: Runner, mailbox: Mailbox, present: Mapping[str, str]
) -> tuple[Login | None, Live | None, dict[str, str]]:
    """The first login that the server takes, what it then says, and the keys of `.env` for that login."""
    for accepted, typed in _logins(mailbox, present):
        transport = ContainerTransport(run, accepted, base=names.BASE, container=mailbox.stalwart.name)
        try:
            return accepted, Client(transport).read([KINDS[kind].read() for kind in server.KINDS]), typed
        except LoginRefused:
            continue
    say("! the server's own settings were not read: no login that it takes", err=True)
    return None, None, {}


def _logins(mailbox: Mailbox, present: Mapping[str, str]) -> Iterator[tuple[Login, dict[str, str]]]:
    name, password = present.get("STALWART_ADMIN") or "admin", present.get("STALWART_ADMIN_PASSWORD")
    if not password and sys.stdin.isatty():
        say("The server's administrator, to read its settings (empty: they are not read)")
        name = click.prompt("  name", default=name, err=True)
        password = click.prompt("  password", default="", hide_input=True, show_default=False, err=True)
    if password:
        typed = {"STALWART_ADMIN": name.partition("@")[0], "STALWART_ADMIN_PASSWORD": password}
        if domain := present.get("DOMAIN"):
            yield login(f"{name}@{domain}", password), typed
        yield login(name, password), typed
    user, _, recovery = mailbox.stalwart.environment.get(names.ENV_RECOVERY_ADMIN, "").partition(":")
    if user and recovery:
        yield login(user, recovery), {}


def _complete(path: Path) -> Environment:
    """The settings, once nothing is missing: asked for in a terminal, named without one."""
    left = list(pending(_values(path)))
    if left and sys.stdin.isatty():
        Interview(path, offline=False).run()
    elif left:
        raise TailwartError(
            f"{path} is not complete, and there is no terminal to ask at",
            seen="\n".join(f"{question.key}: {question.text}" for question in left),
            remedy=f"set these keys in {path}, then run this again",
        )
    return load().environment


def _add(path: Path, said: Description) -> None:
    added, differing = describing.merged(_values(path), said.values)
    _keep(path, added)
    if added:
        say(f"{path}: {', '.join(added)}")
    for line in differing:
        say(f"! {line}", err=True)
    for line in said.remarks:
        say(f"! {line}", err=True)
    if left := [key for key in said.unknown if key not in _values(path)]:
        say(f"! not found out: {', '.join(left)}", err=True)


def _keep(path: Path, given: dict[str, str]) -> None:
    if given:
        text = path.read_text(encoding="utf-8") if path.exists() else _HEAD
        write(path, edited(text, given))


def _values(path: Path) -> dict[str, str]:
    return values(path.read_text(encoding="utf-8"))


def _hosts(environment: Environment) -> Iterator[tuple[str, SshTarget]]:
    if environment.mailbox_ssh is not None:
        yield HOST, environment.mailbox_ssh
    for edge in environment.edges:
        yield edge.name, edge.ssh


def _steps(installation: Installation) -> Iterator[str]:
    mailbox = installation.mailbox
    if mailbox is not None:
        yield f"{HOST}: {mailbox.stalwart.name} and {mailbox.sidecar.name} stop and are kept; the mailbox goes on with:"
        for item in mailbox.transfers:
            yield f"  {item.source} → volume {item.name}" + (f"/{item.into}" if item.into else "")
    for edge in installation.edges:
        if edge.servers and not edge.problem:
            yield f"{edge.name}: {', '.join(one.old.name for one in edge.servers)} stops and is kept for the way back"
    for name, journal in installation.journals.items():
        if journal.step < Step.ADOPTED:
            yield f"{name}: the hand-over goes on"


def _trusts(shown: str) -> bool:
    say(shown)
    if not sys.stdin.isatty():
        raise TailwartError(
            "the host's key is not known yet",
            seen=shown,
            remedy="run this in a terminal, or `tailwart env trust` first",
        )
    return click.confirm("Trust this key?", err=True)
