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
        AccountInput(f"user{number:04}@example.org", SecretStr(f"{number:04}-Zq9v-Lm2x-7Kd")) for number in range(COUNT)
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


def test_a_thousand_people_who_are_not_declared_cost_a_no_op_nothing(
    host: StalwartHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.deploy(settings())
    created = host.call("Domain", "set", create={"x": {"name": "foreign.example.net"}})["created"]["x"]["id"]
    for start in range(0, COUNT, 500):
        people = {
            f"p{number}": {"@type": "User", "name": f"someone{number}", "domainId": created}
            for number in range(start, start + 500)
        }
        assert len(host.call("Account", "set", create=people)["created"]) == 500
    requests: list[int] = []
    exchange = ContainerTransport.command

    def counted(self: ContainerTransport, bodies: list[str]) -> tuple[str, str, str]:
        requests.append(len(bodies))
        return exchange(self, bodies)

    monkeypatch.setattr(ContainerTransport, "command", counted)
    commands = host.commands
    observed = host.plane(settings()).observe()
    assert observed.live is not None
    assert len(observed.live.of("Account")) == 2, "who is declared is read, everybody else is counted"
    assert {"Account: 1000", "Domain: 1"} <= set(observed.planned.unmanaged)
    assert observed.up_to_date
    assert (host.commands - commands, sum(requests) <= 4) == (1, True), requests
    named = host.plane(settings()).observe(everything=True).planned.unmanaged
    assert len([line for line in named if line.startswith("Account someone")]) == COUNT
