"""Inputs that the tests of the settings plane start from."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pydantic import SecretStr

from tailwart.environment import Environment
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.settings import fingerprints
from tailwart.stalwart.settings.applying import Outcome, apply
from tailwart.stalwart.settings.desired import desired, reading
from tailwart.stalwart.settings.fingerprints import Fingerprints, empty
from tailwart.stalwart.settings.inputs import AccountInput, MailboxSettings
from tailwart.stalwart.settings.planning import SettingsPlan, declared_passwords, plan
from tests.unit.stalwart.scripted_server import ScriptedServer


def settings(**changed: Any) -> MailboxSettings:
    """A small installation: one domain, an administrator, a user, one edge, a smarthost.

    ``changed`` are fields of `MailboxSettings`, or keys of `.env` in lower case.
    """
    accounts = (
        AccountInput("admin@example.org", SecretStr("admin-password-1"), admin=True),
        AccountInput("alice@example.org", SecretStr("alice-password-1"), ("postmaster@example.org",), 1 << 30),
    )
    keys: dict[str, Any] = {
        "domain": "example.org",
        "ts_tailnet": "tail1234.ts.net",
        "edges": [edge("203.0.113.7", "2001:db8::7")],
        "smarthost_address": "100.64.0.9",
        "smarthost_username": "relay",
        "smarthost_password": "relay-password-1",
        "offline": True,
    }
    own = {field.name for field in fields(MailboxSettings)}
    keys |= {name: value for name, value in changed.items() if name not in own}
    values: dict[str, Any] = {"env": Environment.model_validate(keys), "accounts": accounts}
    return MailboxSettings(**{**values, **{name: value for name, value in changed.items() if name in own}})


def edge(ipv4: str, ipv6: str | None = None) -> dict[str, str | None]:
    """The keys of an edge with these addresses."""
    return {"name": "edge-1", "ssh": "root@192.0.2.1", "ipv4": ipv4, "ipv6": ipv6}


class Deployed:
    """A scripted server and the fingerprints beside it."""

    def __init__(self, given: MailboxSettings | None = None) -> None:
        self.server = ScriptedServer()
        self.fingerprints: Fingerprints = empty()
        if given is not None:
            self.apply(given)

    def read(self) -> Live:
        return Client(self.server).read()

    def plan(self, given: MailboxSettings) -> SettingsPlan:
        return plan(desired(given), Client(self.server).read(reading(given)), self.fingerprints)

    def apply(self, given: MailboxSettings) -> Outcome:
        """Plan and write; hashes are stand-ins, made without argon2's cost."""
        live = Client(self.server).read(reading(given))
        planned = plan(desired(given), live, self.fingerprints)
        outcome = Outcome()
        hashes = {item.secret_name: f"$argon2id$of:{item.password}" for item in planned.changes if item.password}
        apply(Client(self.server), planned.changes, live, hashes, outcome)
        written = {item.secret_name: fingerprints.HASHER.hash(item.password or "") for item in outcome.passwords}
        known = planned.passwords.unchanged
        self.fingerprints = self.fingerprints.having(written, declared_passwords(desired(given)), known)
        return outcome


def names(planned: SettingsPlan) -> set[str]:
    """Each change as `action kind key`."""
    return {f"{item.action.value} {item.ref.kind} {item.ref.key}" for item in planned.changes}
