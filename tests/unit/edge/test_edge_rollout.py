"""Edges that serve take a change one after the other, and a failure ends that."""

from __future__ import annotations

import threading

import pytest

from tailwart.edge.rollout import Rollout
from tailwart.errors import TailwartError
from tests.waiting import until


def test_only_one_edge_that_serves_changes_at_a_time() -> None:
    rollout, inside, leave = Rollout(), threading.Event(), threading.Event()
    order: list[str] = []

    def change(name: str) -> None:
        with rollout.turn(name, serves=True):
            order.append(f"{name} begins")
            if name == "edge-1":
                inside.set()
                leave.wait(20)
            order.append(f"{name} ends")

    first = threading.Thread(target=change, args=("edge-1",))
    second = threading.Thread(target=change, args=("edge-2",))
    first.start()
    until(inside.is_set, "edge-1 to begin", pause=0.01)
    second.start()
    with rollout.turn("edge-3", serves=False):
        order.append("edge-3, which serves nobody yet, waits for nobody")
    leave.set()
    first.join(20)
    second.join(20)
    assert order == [
        "edge-1 begins",
        "edge-3, which serves nobody yet, waits for nobody",
        "edge-1 ends",
        "edge-2 begins",
        "edge-2 ends",
    ]


def test_the_next_edge_keeps_what_it_has_when_the_last_one_does_not_serve() -> None:
    rollout = Rollout()
    with pytest.raises(TailwartError, match="does not listen"), rollout.turn("edge-1", serves=True):
        raise TailwartError("25/IPv4 does not listen")
    changed = []
    with pytest.raises(TailwartError, match="edge-1 did not serve"), rollout.turn("edge-2", serves=True):
        changed.append("edge-2")
    assert changed == []
