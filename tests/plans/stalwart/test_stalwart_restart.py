"""A planned restart under a running delivery, on a server that runs: no mail rests for the ten minutes of a lock."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator

import pytest

from tailwart.stalwart.lifecycle import queue
from tests.contract.namespace import OUTSIDE
from tests.contract.wire import Wire
from tests.plans.stalwart.slow_relay import PORT, SlowRelay, slow_relay
from tests.plans.stalwart.stalwart_host import StalwartHost
from tests.unit.stalwart.sample import settings
from tests.waiting import until

RELAYED = settings(smarthost_address=OUTSIDE, smarthost_port=PORT, smarthost_username=None, smarthost_password=None)
# Much more than a restart takes, much less than the ten minutes of a lock.
SOON = 60.0


@pytest.fixture
def relay(host: StalwartHost) -> Iterator[SlowRelay]:
    with slow_relay(host.space) as made:
        host.deploy(RELAYED)
        yield made


def submit(host: StalwartHost) -> None:
    """A message of alice to somebody outside."""
    login = base64.b64encode(b"\0alice@example.org\0alice-password-1").decode()
    with Wire(host.space, 465) as wire:
        wire.start_tls()
        assert wire.reply().startswith("220")
        for line in ("EHLO client.example.org", f"AUTH PLAIN {login}", "MAIL FROM:<alice@example.org>"):
            answer = wire.say(line)
            assert answer[:1] == "2", answer
        for line in ("RCPT TO:<carol@outside.example>", "DATA"):
            answer = wire.say(line)
            assert answer[:1] in "23", answer
        text = "From: alice@example.org\r\nTo: carol@outside.example\r\nSubject: one\r\n\r\nOne.\r\n."
        assert wire.say(text).startswith("250")


def queued(host: StalwartHost) -> int:
    return len(host.call("QueuedMessage", "query")["ids"])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart waits two seconds for deliveries."""
    monkeypatch.setattr(queue, "_ROUNDS", 1)
    monkeypatch.setattr(queue, "_SECONDS_EACH", 2)


def test_a_delivery_that_runs_ends_before_the_restart(host: StalwartHost, relay: SlowRelay) -> None:
    submit(host)
    until(lambda: relay.begun == 1, "the delivery")
    starts = host.starts
    letting_go = threading.Timer(3, relay.may_end.set)
    letting_go.start()
    host.plane(RELAYED).restart()
    letting_go.join()
    assert host.starts == starts + 1
    assert (relay.begun, relay.taken) == (1, 1), "delivered once, by the process that began it"
    until(lambda: queued(host) == 0, "an empty queue")
    submit(host)
    until(lambda: relay.taken == 2, "mail after the restart: the queue goes on", SOON)
    assert host.plane(RELAYED).observe().up_to_date


@pytest.mark.usefixtures("impatient")
def test_a_delivery_that_does_not_end_begins_again_at_once(host: StalwartHost, relay: SlowRelay) -> None:
    submit(host)
    until(lambda: relay.begun == 1, "the delivery")
    host.plane(RELAYED).restart()
    until(lambda: relay.begun == 2, "the second attempt, by the new process", SOON)
    relay.may_end.set()
    until(lambda: queued(host) == 0, "an empty queue", SOON)


@pytest.mark.usefixtures("impatient")
def test_a_crash_leaves_a_lock_that_a_restart_by_hand_releases(host: StalwartHost, relay: SlowRelay) -> None:
    submit(host)
    until(lambda: relay.begun == 1, "the delivery")
    host("docker restart stalwart")
    until(host.starts_are_answered, "the new process")
    assert queued(host) == 1
    host.plane(RELAYED).restart()
    until(lambda: relay.begun == 2, "the second attempt, as soon as its lock is released", SOON)
    relay.may_end.set()
    until(lambda: queued(host) == 0, "an empty queue", SOON)
