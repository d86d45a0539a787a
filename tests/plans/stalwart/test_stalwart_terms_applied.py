"""Every key of the operator's terms on a server that runs: applied once, a second plan is empty, taken back."""

from __future__ import annotations

from typing import Any

import pytest

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.plan import render
from tailwart.stalwart.settings.declaration import from_environment
from tailwart.stalwart.settings.inputs import MailboxSettings
from tests.plans.stalwart.stalwart_host import StalwartHost
from tests.unit.stalwart.every_term import EVERY_TERM
from tests.unit.stalwart.test_stalwart_terms import KEYS

ALICE = {"accounts": [{"name": "alice", "password": "alice's own words"}]}


def given(**data: Any) -> MailboxSettings:
    return from_environment(Environment.model_validate({**KEYS, **ALICE}), data)


def test_every_term_is_written_once_and_taken_back(host: StalwartHost) -> None:
    host.set_variables(STALWART_WEBHOOK_KEY="k", STALWART_WEBHOOK_TOKEN="t")
    every = given(**{name: value for name, value in EVERY_TERM.items() if name != "mailbox_directory"})
    host.deploy(every)
    observed = host.plane(every).observe()
    assert observed.live is not None
    assert observed.up_to_date, render(observed.planned.document(observed.live))


def test_an_external_directory_cannot_lock_the_deploy_out(host: StalwartHost) -> None:
    environment = Environment.model_validate(KEYS)
    ldap = {"mailbox_directory": {"ldap": {"url": "ldap://ldap.example.net:389", "base_dn": "dc=example,dc=net"}}}
    inside, outside = from_environment(environment, {"mailbox_directory": {}}), from_environment(environment, ldap)
    host.deploy(outside)
    login = (host.home / "credentials").read_text()
    assert login.startswith("Bearer API_"), "no password of the server's own counts from now on"
    assert host.plane(outside).observe().up_to_date
    (choice,) = host.objects("Authentication")
    assert choice["directoryId"] == host.objects("Directory")[0]["id"]
    host.deploy(outside)
    assert (host.home / "credentials").read_text() == login
    host.deploy(inside)
    assert host.objects("Directory") == []
    assert host.plane(inside).observe().up_to_date


def test_a_declared_password_beside_an_external_directory_is_refused() -> None:
    with pytest.raises(TailwartError, match=r"the directory proves the password of alice@example\.org"):
        given(mailbox_directory=EVERY_TERM["mailbox_directory"])
