"""The commands of `tailwart account`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import click

from tailwart.environment import Environment, load
from tailwart.errors import TailwartError
from tailwart.network import LOOPBACK, SMTP, Services
from tailwart.printing import say
from tailwart.runner import Runner
from tailwart.stalwart.accounts.directory import Accounts, entries
from tailwart.stalwart.accounts.passwords import check_password
from tailwart.stalwart.accounts.signin import prove_sign_in
from tailwart.stalwart.accounts.sizes import parse_size, show_size
from tailwart.stalwart.mailbox_host import declared, mailbox_host
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.settings.declaration import administrator_address
from tailwart.stalwart.settings.groupdata import full_address
from tailwart.stalwart.settings.inputs import MailboxSettings
from tailwart.stalwart.settings.terms.fields import duration, text_or_file
from tailwart.stalwart.settings.terms.fields import networks as parse_networks


@dataclass
class _Session:
    run: Runner
    accounts: Accounts
    declared: MailboxSettings
    environment: Environment

    def full(self, address: str) -> str:
        """The whole address: a bare name belongs to the main domain."""
        return full_address(address, self.environment.domain)

    def refuse_declared(self, address: str, what: str) -> None:
        """Refuse a change that the next deploy would undo: what is declared is changed where it is declared."""
        if any(holder.address == address for holder in self.declared.holders):
            raise TailwartError(
                f"{address} is declared in .env or group_data/mailbox.py",
                seen=f"{what} on the server only",
                expected="a change where it is declared: the next deploy would undo this one",
                remedy="edit .env or group_data/mailbox.py, then: tailwart settings apply",
            )


@contextmanager
def _session() -> Iterator[_Session]:
    environment = load().environment
    desired = declared(environment)
    with mailbox_host(environment) as run:
        client = Client(ContainerTransport(run, stored_login()))
        yield _Session(run, Accounts(client, client.read()), desired, environment)


def _password(address: str, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = click.prompt(f"Password of {address}", hide_input=True, confirmation_prompt=True, err=True)
    check_password(password, address)
    return str(password)


def _client_ports(services: Services) -> str:
    """The next step: what a mail client is set up with."""
    public = [f"{item.name} {item.port}" for item in services.public if item is not SMTP]
    inside = [f"{item.name} {item.port} (tailnet only)" for item in services.tailnet]
    return f"Next: set up a mail client: {', '.join(public + inside) or 'JMAP'}"


def list_all(*, as_json: bool) -> None:
    """Print every account, group and mailing list of the server."""
    with _session() as session:
        found = entries(session.accounts.live)
        known = {holder.address for holder in session.declared.holders}
    if as_json:
        say(json.dumps([{**entry.document(), "declared": entry.address in known} for entry in found], indent=2))
        return
    for entry in found:
        notes = [entry.kind, *(["admin"] if entry.admin else []), *(["disabled"] if entry.disabled else [])]
        notes += ["declared"] if entry.address in known else []
        limit = show_size(entry.quota_bytes) if entry.quota_bytes else "no limit"
        use = f"  {show_size(entry.used_bytes)} of {limit}" if entry.kind != "list" else ""
        also = f"  also {', '.join(entry.aliases)}" if entry.aliases else ""
        say(f"{entry.address:<32} {', '.join(notes):<24}{use}{also}")
    say(f"{len(found)} addresses. Next: tailwart account add NAME")


def add(address: str, *, aliases: tuple[str, ...], quota: str | None, password_stdin: bool, as_json: bool) -> None:
    """Create an account and sign in to it. Raises TailwartError for a weak password or a declared address."""
    quota_bytes = parse_size(quota) if quota else None
    with _session() as session:
        address = session.full(address)
        session.refuse_declared(address, "an account")
        password = _password(address, password_stdin)
        session.accounts.add(address, password, [session.full(alias) for alias in aliases], quota_bytes)
        services = session.declared.env.mail_services
        protocol = prove_sign_in(session.run, address, password, services, session.environment.mail_host)
    _done(as_json, address, f"created, and signed in over {protocol}", _client_ports(services))


def passwd(address: str, *, password_stdin: bool, as_json: bool) -> None:
    """Replace a password and sign in with it; the administrator's stands in `.env` and is refused."""
    with _session() as session:
        address = session.full(address)
        session.accounts.find(address)
        if address == administrator_address(session.environment):
            session.refuse_declared(address, "the administrator's password")
        password = _password(address, password_stdin)
        session.accounts.set_password(address, password)
        services = session.declared.env.mail_services
        protocol = prove_sign_in(session.run, address, password, services, session.environment.mail_host)
    _done(
        as_json,
        address,
        f"has the new password, and signed in over {protocol}",
        "It stays until .env declares another one.",
    )


def alias(address: str, alias: str, *, remove: bool, as_json: bool) -> None:
    """Add a further address to an account, or remove it."""
    with _session() as session:
        address, alias = session.full(address), session.full(alias)
        session.accounts.find(address)
        session.refuse_declared(address, "an alias")
        (entry,) = (item for item in entries(session.accounts.live) if item.address == address)
        desired = [item for item in entry.aliases if item != alias] + ([] if remove else [alias])
        session.accounts.set_aliases(address, desired)
    _done(as_json, address, f"also receives {', '.join(desired)}" if desired else "has no aliases", "")


def quota(address: str, size: str, *, as_json: bool) -> None:
    """Limit the size of a mailbox; `size` is such as 5G, or none."""
    quota_bytes = None if size == "none" else parse_size(size)
    with _session() as session:
        address = session.full(address)
        session.accounts.find(address)
        session.refuse_declared(address, "a quota")
        session.accounts.set_quota(address, quota_bytes)
    _done(as_json, address, f"may use {show_size(quota_bytes)}" if quota_bytes else "has no limit", "")


def disable(address: str, *, undo: bool, as_json: bool) -> None:
    """Forbid signing in to an account, or allow it again."""
    with _session() as session:
        address = session.full(address)
        if address == administrator_address(session.environment):
            session.refuse_declared(address, "a disabled administrator")
        session.accounts.set_disabled(address, not undo)
    said = "may sign in again" if undo else "cannot sign in any more; mail is still received"
    _done(as_json, address, said, "" if undo else f"Next: tailwart account disable --undo {address}")


def app_password_add(address: str, name: str, *, expires: str | None, networks: Sequence[str], as_json: bool) -> None:
    """Make an app password and sign in with it; the last line is the password."""
    until = datetime.now(UTC) + timedelta(milliseconds=_parsed(duration, expires)) if expires else None
    allowed = (*_parsed(parse_networks, list(networks)), *LOOPBACK) if networks else ()
    with _session() as session:
        address = session.full(address)
        secret = session.accounts.app_passwords(address).add(name, until, allowed)
        services = session.declared.env.mail_services
        protocol = prove_sign_in(session.run, address, secret, services, session.environment.mail_host)
    if as_json:
        say(json.dumps({"address": address, "name": name, "password": secret}))
        return
    say(f'{address} signed in over {protocol} with the app password "{name}". It is shown once:')
    say(secret)


def app_password_list(address: str, *, as_json: bool) -> None:
    """Print an account's app passwords."""
    with _session() as session:
        address = session.full(address)
        held = session.accounts.app_passwords(address).held()
    if as_json:
        say(json.dumps([item.document() for item in held], indent=2))
        return
    for item in held:
        until = f"until {item.expires}" if item.expires else "no end"
        where = f"  from {', '.join(item.networks)}" if item.networks else ""
        say(f"{item.id:<4} {item.name:<24} since {item.created}  {until}{where}")
    say(f"{len(held)} app passwords. Next: tailwart account app-password add {address} NAME")


def app_password_revoke(address: str, name: str, *, as_json: bool) -> None:
    """Destroy an app password."""
    with _session() as session:
        address = session.full(address)
        gone = session.accounts.app_passwords(address).revoke(name)
    _done(as_json, address, f'has no app password "{gone.name}" any more', "Connections that are open stay open.")


def sieve(address: str, file: Path | None, *, remove: bool, as_json: bool) -> None:
    """Set, remove or list an account's Sieve scripts."""
    text = _parsed(text_or_file, file) if file and not remove else ""
    with _session() as session:
        address = session.full(address)
        scripts = session.accounts.scripts(address)
        if text:
            scripts.activate(text)
            said = f"has {file} as its active Sieve script"
        elif remove:
            said = "has the script no more" if scripts.remove() else "has no script of this command"
        held = [] if text or remove else scripts.held()
    if text or remove:
        _done(as_json, address, said, "")
    elif as_json:
        say(json.dumps([{"name": item.name, "active": item.active} for item in held], indent=2))
    else:
        for item in held:
            say(f"{item.name}{' (active)' if item.active else ''}")
        say(f"{len(held)} scripts. Next: tailwart account sieve {address} FILE")


_T = TypeVar("_T")
_V = TypeVar("_V")


def _parsed(parse: Callable[[_V], _T], value: _V) -> _T:
    """An argument's value; raises TailwartError with what was expected."""
    try:
        return parse(value)
    except ValueError as problem:
        raise TailwartError(
            "the argument is not valid", seen=str(value), expected=str(problem), remedy="give it in that form"
        ) from None


def _done(as_json: bool, address: str, said: str, after: str) -> None:
    if as_json:
        say(json.dumps({"address": address, "result": said}))
        return
    say(f"{address} {said}." + (f" {after}" if after else ""))
