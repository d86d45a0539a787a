"""A no-op reads what is declared and counts the rest: people who are nobody's business here cost nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.jmap import FOUND, MAX_CALLS, Call, body, in_requests
from tailwart.stalwart.protocol.kinds import READ
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.selection import SELECTIVE, narrowed
from tailwart.stalwart.protocol.values import Ref
from tailwart.stalwart.settings.desired import desired
from tailwart.stalwart.settings.planning import plan
from tests.unit.stalwart.sample import Deployed, settings

FOREIGN = 1000


def keys(given: Any) -> dict[str, list[str]]:
    return {kind: [item.key for item in desired(given) if item.kind == kind] for kind in SELECTIVE}


@pytest.fixture
def crowded() -> Deployed:
    made = Deployed(settings())
    domain = made.server.add("Domain", {"name": "foreign.example"})
    for number in range(FOREIGN):
        # The same local part as a declared account, in a domain that is not: found by the name, and not taken for it.
        name = "alice" if number == 0 else f"someone{number}"
        made.server.add("Account", {"@type": "User", "name": name, "domainId": domain})
    made.server.requests = 0
    return made


def test_a_no_op_on_a_crowded_server_reads_what_is_declared(crowded: Deployed) -> None:
    live = Client(crowded.server).read(narrowed(READ, keys(settings())))
    assert crowded.server.requests <= 3
    assert {item["emailAddress"] for item in live.of("Account")} == {
        "admin@example.org",
        "alice@example.org",
        "alice@foreign.example",
    }
    assert live.totals == {"Account": FOREIGN + 2, "Domain": 2}
    planned = plan(desired(settings()), live, crowded.fingerprints)
    assert not planned
    assert {"Account: 1000", "Domain: 1"} <= set(planned.unmanaged)


def test_all_names_are_read_on_request(crowded: Deployed) -> None:
    live = Client(crowded.server).read(READ)
    assert (len(live.of("Account")), live.totals) == (FOREIGN + 2, {})
    planned = plan(desired(settings()), live, crowded.fingerprints, all_names=True)
    assert "Account someone999@foreign.example" in planned.unmanaged
    assert len([line for line in planned.unmanaged if line.startswith("Account ")]) == FOREIGN


def test_a_declared_account_that_is_missing_is_created_among_a_thousand(crowded: Deployed) -> None:
    alice = crowded.server.find(
        "Account", name="alice", domainId=crowded.server.find("Domain", name="example.org")["id"]
    )
    del crowded.server.objects["Account"][alice["id"]]
    live = Client(crowded.server).read(narrowed(READ, keys(settings())))
    assert live.get(Ref("Account", "alice@example.org")) is None
    (change,) = plan(desired(settings()), live, crowded.fingerprints).changes
    assert str(change.ref) == "alice@example.org"


def test_many_declared_names_are_read_whole() -> None:
    many = {"Account": [f"user{number}@example.org" for number in range(200)]}
    assert narrowed(READ, many) == READ


def test_a_reference_and_its_query_are_in_one_request() -> None:
    call = Call("Account", "query", {"filter": {"name": "a"}})
    pairs = [*[Call("Domain", "get", {"ids": None})] * (MAX_CALLS - 1), call, Call("Account", "get", {"ids": FOUND})]
    first, second = in_requests(pairs)
    assert (len(first), len(second)) == (MAX_CALLS - 1, 2)
    (_, (name, arguments, _)) = json.loads(body(second, "a"))["methodCalls"]
    assert (name, arguments["#ids"]) == (
        "x:Account/get",
        {"resultOf": "0", "name": "x:Account/query", "path": "/ids"},
    )


@drawn(st.lists(st.booleans(), max_size=60))
def test_no_call_is_lost_between_the_requests(pairs: list[bool]) -> None:
    calls: list[Call] = []
    for pair in pairs:
        calls += [Call("A", "query"), Call("A", "get", {"ids": FOUND})] if pair else [Call("A", "get")]
    groups = list(in_requests(calls))
    assert [call for group in groups for call in group] == calls
    assert all(0 < len(group) <= MAX_CALLS for group in groups)
    assert not any(group[0].arguments.get("ids") is FOUND for group in groups)


def test_a_whole_reading_takes_the_place_of_a_count() -> None:
    narrow = Live({"Account": ({"id": "a"},)}, totals={"Account": 9, "Domain": 2})
    whole = narrow.completed(Live({"Account": ({"id": "a"}, {"id": "b"})}))
    assert (len(whole.of("Account")), whole.totals) == (2, {"Domain": 2})
