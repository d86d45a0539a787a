"""Why the limits per client address are loaded anew, and when nothing of them is left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tailwart.edge.door import RULES, Door, drift
from tests.unit.edge.host_report import PLAN, EdgeHost, up_to_date


def test_loaded_rules_are_up_to_date() -> None:
    assert drift(PLAN.door, up_to_date().report()) == []


@pytest.mark.parametrize(
    ("door", "reason"),
    [
        ("tool=/usr/sbin/nft\nloaded=\nunit=enabled\n", "not loaded"),
        (f"tool=/usr/sbin/nft\nloaded={PLAN.door.digest}\nunit=disabled\n", "at boot"),
    ],
)
def test_rules_that_somebody_flushed_or_that_a_reboot_would_lose_are_noticed(door: str, reason: str) -> None:
    assert reason in drift(PLAN.door, replace(up_to_date(), door=door).report())[0]


def test_other_limits_or_ports_are_other_rules() -> None:
    doors = (PLAN.door, replace(PLAN.door, rate=0), replace(PLAN.door, connections=5), replace(PLAN.door, ports=(25,)))
    assert len({door.digest for door in doors}) == 4
    assert drift(replace(PLAN.door, rate=60), up_to_date().report()) == [f"{RULES} changes"]


def test_without_limits_nothing_of_them_is_left() -> None:
    without = Door(PLAN.routes.ports)
    assert without.files == ()
    assert drift(without, EdgeHost().report()) == []
    assert drift(without, up_to_date().report()) == ["the limits per client address are removed"]
