"""Every key of the operator's terms on a server that runs: applied once, a second plan is empty, taken back."""

from __future__ import annotations

from typing import Any

from tailwart.environment import Environment
from tailwart.plan import render
from tailwart.stalwart.settings.declaration import from_environment
from tailwart.stalwart.settings.inputs import MailboxSettings
from tests.plans.stalwart.stalwart_host import StalwartHost
from tests.unit.stalwart.every_term import EVERY_TERM
from tests.unit.stalwart.test_stalwart_terms import KEYS


def given(**data: Any) -> MailboxSettings:
    return from_environment(Environment.model_validate(KEYS), data)


def test_every_term_is_written_once_and_taken_back(host: StalwartHost) -> None:
    host.set_variables(STALWART_WEBHOOK_KEY="k", STALWART_WEBHOOK_TOKEN="t")
    every = given(**{name: value for name, value in EVERY_TERM.items() if name != "mailbox_directory"})
    host.deploy(every)
    observed = host.plane(every).observe()
    assert observed.live is not None
    assert observed.up_to_date, render(observed.planned.document(observed.live))
