"""A planned restart while a message is on its way to the smarthost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwart.environment import Account, Environment
from tests.lab import outside
from tests.lab.deploying import said
from tests.lab.mailbox import shell, started
from tests.waiting import until

pytestmark = pytest.mark.leaves_deployed

# How long the smarthost takes to accept a message: a restart takes less.
SECONDS = 12


@pytest.fixture
def slow_smarthost() -> Iterator[None]:
    shell("relay", f"postconf -e 'smtpd_end_of_data_restrictions=sleep {SECONDS}' && postfix reload")
    yield
    shell("relay", "postconf -X smtpd_end_of_data_restrictions && postfix reload")


@pytest.mark.usefixtures("slow_smarthost")
def test_a_restart_lets_a_delivery_end_and_mail_goes_on(
    deployed: Path, environment: Environment, account: Account
) -> None:
    user, password = f"{account.name}@{environment.domain}", account.password.get_secret_value()
    token = outside.mail_out(user, password, 465)
    connected = "ss -Htn state established sport = :587"
    until(lambda: shell("relay", connected).strip() or None, "the delivery at the smarthost")
    before = started()
    said(deployed, "settings", "restart", "--yes")
    after = started()
    assert {name for name in after if after[name] != before[name]} == {"stalwart"}
    # A message whose delivery a restart breaks off rests for ten minutes.
    message = outside.arrived_outside(token)
    assert token in str(message["Subject"])
    second = outside.mail_out(user, password, 465)
    assert outside.arrived_outside(second), "the queue goes on"
