"""Mail in, mail out, and the proof of the real client address."""

from __future__ import annotations

from email.message import Message

import dkim
import pytest

from lab import hosts
from tailwart.environment import Account, Environment
from tests.lab import outside
from tests.waiting import until

pytestmark = pytest.mark.leaves_deployed


def test_a_mail_from_outside_carries_the_senders_own_address(environment: Environment, account: Account) -> None:
    user = f"{account.name}@{environment.domain}"
    token = outside.mail_in(user)
    message = outside.read_back(user, account.password.get_secret_value(), token)
    top = message.get_all("Received", [])[0]
    assert f"[{outside.WORLD_ADDRESS}]" in top, top
    log = hosts.exec("mailbox", ["docker", "logs", "--since", "3m", "stalwart"])
    text = (log.stdout + log.stderr).decode()
    accepted = [line for line in text.splitlines() if "(smtp.rcpt-to)" in line and user in line]
    assert accepted, text[-2000:]
    assert f"remoteIp = {outside.WORLD_ADDRESS}," in accepted[-1]


@pytest.mark.parametrize("port", [587, 465])
def test_a_submitted_mail_reaches_the_outside_through_the_smarthost_with_one_rsa_signature(
    environment: Environment, account: Account, port: int
) -> None:
    user = f"{account.name}@{environment.domain}"
    token = outside.mail_out(user, account.password.get_secret_value(), port)
    message = outside.arrived_outside(token)
    assert any("relay.lab.test" in received for received in message.get_all("Received", [])), (
        "not through the smarthost"
    )
    signatures = message.get_all("DKIM-Signature", [])
    assert len(signatures) == 1, signatures
    assert "a=rsa-sha256" in signatures[0].replace(" ", "")
    assert _valid(message, environment)


def _valid(message: Message, environment: Environment) -> bool:
    """The signature, checked against the key that the zone publishes or, without a dns role, the server recommends."""

    def txt(name: bytes, timeout: int = 5) -> bytes:
        query = ["dig", "+short", "+timeout=5", "TXT", name.decode().rstrip("."), "@198.51.100.2"]

        def attempt() -> str | None:
            return hosts.exec("world", query).stdout.decode().strip() or None

        answer = until(attempt, f"the DKIM key {name.decode()} in the zone", timeout)
        return "".join(part for part in answer.split('"') if part.strip()).encode()

    return bool(dkim.verify(message.as_bytes(), dnsfunc=txt))
