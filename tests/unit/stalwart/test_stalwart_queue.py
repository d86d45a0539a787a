"""A planned restart and the mail that is being delivered meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher, Type

from tailwart.errors import TailwartError
from tailwart.stalwart.accounts import passwords
from tailwart.stalwart.lifecycle import queue
from tailwart.stalwart.lifecycle.queue import Queue, held
from tests.unit.stalwart.sample import settings
from tests.unit.stalwart.simulated_host import Killed, SimulatedHost

PAST, FUTURE = "2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedHost]:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(1, 8, 1, type=Type.ID))
    monkeypatch.setattr(queue, "_SECONDS_EACH", 1)
    made = SimulatedHost(tmp_path)
    made.deploy(settings())
    yield made
    made.close()


def drift(host: SimulatedHost) -> None:
    """The next deploy restarts."""
    for item in host.server.objects["NetworkListener"].values():
        if "[::]:25" in item["bind"]:
            item["overrideProxyTrustedNetworks"] = {}


def orders(host: SimulatedHost) -> list[str]:
    """Actions and maintenance, in the order in which they were given."""
    return [
        str(document.get("maintenanceType") or document["@type"])
        for _, kind, document in host.server.writes
        if kind in ("Action", "Task")
    ]


def held_queue(host: SimulatedHost, **rest: Any) -> Queue:
    return Queue(host, directory=str(host.home), base=host.base, **rest)


def test_a_restart_waits_for_a_delivery_that_runs(host: SimulatedHost) -> None:
    message = host.server.add("QueuedMessage", {"nextRetry": PAST})
    later = host.server.add("QueuedMessage", {"nextRetry": FUTURE})
    seen: list[bool] = []

    def meanwhile(name: str) -> None:
        if name == "x:QueuedMessage/get":
            seen.append(host.server.paused)
            if len(seen) == 2:
                del host.server.objects["QueuedMessage"][message]

    host.server.meanwhile = meanwhile
    drift(host)
    starts = host.starts
    host.deploy(settings())
    assert host.starts == starts + 1
    assert seen == [True, True], "asked until the delivery ended; what waits for its next retry is not waited for"
    assert list(host.server.objects["QueuedMessage"]) == [later]
    assert not host.server.paused
    assert "removeLockQueueMessage" not in orders(host)
    assert not (host.home / "queue-paused").exists()
    assert host.plane(settings()).observe().up_to_date


def test_a_delivery_that_does_not_end_is_broken_off_and_begins_again_at_once(host: SimulatedHost) -> None:
    host.server.add("QueuedMessage", {"nextRetry": PAST})
    host.server.meanwhile = lambda name: host.server.objects["Task"].clear()
    said: list[str] = []
    before = len(host.server.writes)
    with held(held_queue(host, rounds=1, log=said.append)):
        assert host.server.paused
        host.start()
    assert said == ["1 deliveries still run after 1 s: they are broken off, and begin again at once"]
    given = [order for order in orders(host) if order != "ReloadSettings"]
    assert given[-2:] == ["removeLockQueueMessage", "ResumeMtaQueue"], "the lock is given up before the new process"
    assert len(host.server.writes) > before
    assert not host.server.paused


def test_a_run_that_dies_anywhere_leaves_no_paused_queue_to_the_next_one(host: SimulatedHost) -> None:
    drift(host)
    first = host.commands
    host.deploy(settings())
    steps = host.commands - first
    assert steps > 6
    paused_once = False
    for step in range(1, steps + 1):
        drift(host)
        host.kill_at = (host.commands + step, "after")
        with pytest.raises(Killed):
            host.deploy(settings())
        host.kill_at = None
        paused_once |= host.server.paused
        host.deploy(settings())
        assert not host.server.paused, f"after a crash at step {step}"
        assert host.plane(settings()).observe().up_to_date
    assert paused_once, "no crash fell between the pause and the restart"


def test_a_paused_queue_is_resumed_even_when_nothing_else_is_to_be_done(host: SimulatedHost) -> None:
    held_queue(host).hold()
    assert host.server.paused
    observed = host.plane(settings()).observe()
    assert observed.host.queue_paused
    assert not observed.up_to_date
    starts = host.starts
    host.deploy(settings())
    assert (host.server.paused, host.starts) == (False, starts)


def test_a_pause_ends_with_its_process(host: SimulatedHost) -> None:
    held_queue(host).hold()
    host.start()
    observed = host.plane(settings()).observe()
    assert not observed.host.queue_paused
    assert observed.up_to_date


def test_a_queue_that_cannot_be_paused_does_not_prevent_the_restart(host: SimulatedHost) -> None:
    (host.home / "credentials").write_text("admin@example.org:wrong\n")
    said: list[str] = []
    begun = host.starts
    with held(held_queue(host, log=said.append)):
        host.start()
    assert host.starts == begun + 1
    assert "the restart goes on" in said[0]


def test_where_no_server_runs_nothing_is_asked(tmp_path: Path) -> None:
    host = SimulatedHost(tmp_path)
    try:
        held_queue(host).hold()
        assert host.server.requests == 0
        with pytest.raises(TailwartError):
            held_queue(host).resume()
    finally:
        host.close()
