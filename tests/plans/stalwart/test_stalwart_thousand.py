"""A thousand accounts: few requests, and every account is read although one answer holds 500."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tailwart.stalwart.protocol.container import ContainerTransport
from tailwart.stalwart.settings.inputs import AccountInput, MailboxSettings
from tests.plans.stalwart.stalwart_host import StalwartHost
from tests.unit.stalwart.sample import names, settings

COUNT = 1000


def thousand() -> MailboxSettings:
    people = tuple(
        AccountInput(f"user{number:04}@example.org", SecretStr(f"password-{number}")) for number in range(COUNT)
    )
    return settings(accounts=(settings().accounts[0], *people))


def test_a_thousand_accounts(host: StalwartHost, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[int] = []
    exchange = ContainerTransport.command

    def counted(self: ContainerTransport, bodies: list[str]) -> tuple[str, str, str]:
        requests.append(len(bodies))
        return exchange(self, bodies)

    monkeypatch.setattr(ContainerTransport, "command", counted)
    host.deploy(settings())
    host.deploy(thousand())
    requests.clear()
    observed = host.plane(thousand()).observe()
    assert observed.live is not None
    assert len(observed.live.of("Account")) == COUNT + 2, "alice is still there, and the administrator"
    assert names(observed.planned) == set()
    assert sum(requests) <= 10
