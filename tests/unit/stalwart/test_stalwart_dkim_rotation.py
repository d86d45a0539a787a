"""A DKIM key before its time: what is ordered, and the refusal of a second one on the same day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tailwart.errors import TailwartError
from tailwart.stalwart.lifecycle import dkim_rotation
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.kinds import KINDS
from tests.unit.stalwart.sample import Deployed, settings

TODAY = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)


def deployed(*keys: dict[str, Any]) -> tuple[Deployed, Any]:
    made = Deployed(settings())
    domain = made.server.find("Domain", name="example.org")["id"]
    for key in keys:
        made.server.add("DkimSignature", {"@type": "Dkim1RsaSha256", "domainId": domain, **key})
    return made, Client(made.server).read([KINDS[kind].read() for kind in ("Domain", "DkimSignature")])


OLD = {"selector": "v1-rsa-20260901", "stage": "active"}


def test_a_rotation_retires_the_active_key_and_orders_a_new_one() -> None:
    made, live = deployed(OLD, {"selector": "v1-rsa-20260601", "stage": "retiring"})
    rotation = dkim_rotation.planned(live, "example.org", TODAY)
    assert rotation.describe() == "example.org: v1-rsa-20260901 retires"
    made.server.writes.clear()
    dkim_rotation.order(Client(made.server), rotation, live)
    assert [(verb, kind) for verb, kind, _ in made.server.writes] == [("update", "DkimSignature"), ("create", "Task")]
    assert made.server.writes[0][2]["nextTransitionAt"] < "2026"
    assert made.server.writes[1][2]["@type"] == "DkimManagement"


@pytest.mark.parametrize("stage", ["active", "pending", "retiring"])
def test_two_rotations_on_one_day_are_refused(stage: str) -> None:
    _, live = deployed(OLD, {"selector": "v1-rsa-20261121", "stage": stage})
    with pytest.raises(TailwartError, match=r"has a DKIM key of today[^§]*v1-rsa-20261121[^§]*tomorrow"):
        dkim_rotation.planned(live, "example.org", TODAY)


@pytest.mark.parametrize(("domain", "seen"), [("example.net", "no such domain"), ("example.org", "no active key")])
def test_a_domain_without_a_key_is_named(domain: str, seen: str) -> None:
    _, live = deployed()
    with pytest.raises(TailwartError, match=seen):
        dkim_rotation.planned(live, domain, TODAY)


def test_what_the_server_refuses_is_named() -> None:
    made, live = deployed(OLD)
    made.server.refuse = lambda kind, _: {"type": "forbidden"} if kind == "Task" else None
    with pytest.raises(TailwartError, match=r"cannot be rotated[^§]*forbidden"):
        dkim_rotation.order(Client(made.server), dkim_rotation.planned(live, "example.org", TODAY), live)
