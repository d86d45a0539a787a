"""The mailbox host: files, containers, networks, mounts, sockets, stores, clock and disks; all by one command."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from tailwart.checks import mailbox_facts
from tailwart.checks.mailbox import MAILBOX
from tailwart.checks.mailbox_facts import MailboxFacts
from tailwart.checks.model import Check
from tailwart.checks.revision import here
from tailwart.environment import Environment
from tests.verify.conftest import report
from tests.verify.holding import holds, named


@pytest.fixture(scope="module")
def facts(mailbox: Host, environment: Environment) -> MailboxFacts:
    return MailboxFacts(
        environment, *report(mailbox, mailbox_facts.watch(environment, deep=True)), here(environment.domain)
    )


@pytest.mark.parametrize("check", MAILBOX.checks(), ids=named)
def test_the_mailbox_host(check: Check, facts: MailboxFacts) -> None:
    holds(MAILBOX, check, facts, "mailbox")
