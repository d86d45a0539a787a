"""What the commands for daily use write, held against every schema that is there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from argon2 import PasswordHasher, Type

from tailwart.stalwart.accounts import passwords
from tailwart.stalwart.accounts.directory import Accounts
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.schema.checking import problems
from tests.unit.stalwart import schemas
from tests.unit.stalwart.sample import Deployed, settings

ALICE = "alice@example.org"


@pytest.mark.parametrize("version", schemas.versions())
def test_a_server_takes_what_the_account_commands_write(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(1, 8, 1, type=Type.ID))
    schema = schemas.schema(version)
    deployed = Deployed(settings())
    deployed.server.writes.clear()

    def accounts() -> Accounts:
        client = Client(deployed.server)
        return Accounts(client, client.read())

    accounts().add("carol@example.org", "a password", ("desk@example.org",), 1 << 30)
    accounts().add_administrator("second@example.org", "a password")
    accounts().make_administrator(ALICE)
    accounts().set_password(ALICE, "another password")
    accounts().set_aliases(ALICE, ("info@example.org",))
    accounts().set_quota(ALICE, None)
    accounts().set_disabled(ALICE, True)
    accounts().set_disabled(ALICE, False)
    assert len(deployed.server.writes) == 8
    for verb, kind, document in deployed.server.writes:
        found = problems(schema, kind, document, creating=verb == "create", live={"@type": "User"})
        assert [each.message() for each in found] == [], (verb, kind, sorted(document))


@pytest.mark.parametrize("version", schemas.versions())
def test_a_server_takes_a_new_app_password(version: str) -> None:
    written = {
        "description": "phone",
        "expiresAt": f"{datetime(2027, 1, 1, tzinfo=UTC):%Y-%m-%dT%H:%M:%SZ}",
        "allowedIps": {"100.64.0.0/10": True},
    }
    assert problems(schemas.schema(version), "AppPassword", written, creating=True) == []
