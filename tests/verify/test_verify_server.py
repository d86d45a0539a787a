"""Stalwart by its own API: settings, queue, tasks, certificates, keys, bans, and who else uses its store."""

from __future__ import annotations

import pytest

from tailwart.checks.model import Check
from tailwart.checks.server import SERVER
from tailwart.checks.server_facts import ServerFacts
from tailwart.checks.serving import gather
from tailwart.connectors.shell import SshRunner
from tailwart.environment import Environment
from tests.verify.holding import holds, named


@pytest.fixture(scope="module")
def facts(environment: Environment) -> ServerFacts:
    if environment.mailbox_ssh is None:
        pytest.skip("role mailbox is not configured: MAILBOX_SSH is not set")
    with SshRunner(environment, environment.mailbox_ssh) as run:
        return gather(run, environment, deep=True)


@pytest.mark.parametrize("check", SERVER.checks(), ids=named)
def test_the_server(check: Check, facts: ServerFacts) -> None:
    holds(SERVER, check, facts, "mailbox")
