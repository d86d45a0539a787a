"""A message is followed by the lines of the log of a real server, as it was recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart.errors import TailwartError
from tailwart.stalwart.accounts import tracing

LOG = [
    '2026-11-21T00:49:58Z INFO SMTP EHLO command (smtp.ehlo) listenerId = "smtp", localPort = 25, '
    'remoteIp = 198.51.100.23, remotePort = 40000, domain = "client.example.net"',
    '2026-11-21T00:49:58Z INFO SMTP EHLO command (smtp.ehlo) listenerId = "smtp", localPort = 25, '
    'remoteIp = 198.51.100.99, remotePort = 40000, domain = "other.example.net"',
    '2026-11-21T00:49:59Z INFO Queued message for delivery (queue.message-queued) listenerId = "smtp", localPort = 25, '
    'remoteIp = 198.51.100.23, remotePort = 40000, queueId = 341714560396296704, from = "bob@example.net", '
    'to = ["alice@example.org", "carol@example.org"], size = 1394, nextRetry = 2026-11-21T00:49:59Z',
    "2026-11-21T00:49:59Z INFO Delivery attempt started (delivery.attempt-start) queueId = 341714560396296704, "
    'queueName = "local", from = "bob@example.net", to = ["alice@example.org"], size = 1394, total = 1',
    "2026-11-21T00:49:59Z INFO Message ingested (message-ingest.ham) queueId = 341714560396296704, "
    'from = "bob@example.net", to = ["alice@example.org"], messageId = "in1@example.net", size = 1394, elapsed = 3ms',
    "2026-11-21T00:49:59Z INFO Delivery completed (delivery.completed) queueId = 341714560396296704, elapsed = 0ms",
    '2026-11-21T00:50:59Z INFO SMTP EHLO command (smtp.ehlo) listenerId = "smtp", localPort = 25, '
    'remoteIp = 198.51.100.23, remotePort = 40000, domain = "later.example.net"',
]


@pytest.mark.parametrize("term", ["alice@example.org", "CAROL@example.org", "<in1@example.net>", "bob@example.net"])
def test_a_message_is_found_by_what_people_know_of_it(term: str) -> None:
    assert tracing.queue_ids(LOG, tracing.check_term(term)) == [341714560396296704]


def test_the_number_of_the_250_is_that_of_the_log() -> None:
    assert tracing.check_term("4be05a95d400a00") == str(0x4BE05A95D400A00)
    assert tracing.check_term("341714560396296704") == "341714560396296704"


def test_a_part_of_a_longer_address_is_another_address() -> None:
    assert tracing.queue_ids(LOG, "ice@example.org") == []


def test_the_session_that_brought_it_belongs_to_it_and_no_other() -> None:
    wanted = tracing.wanted([341714560396296704], LOG)
    assert wanted == ["queueId = 341714560396296704,", "remoteIp = 198.51.100.23, remotePort = 40000"]
    (found,) = tracing.traces([341714560396296704], LOG)
    assert [step.event for step in found.steps] == [
        "smtp.ehlo", "queue.message-queued", "delivery.attempt-start", "message-ingest.ham", "delivery.completed",
    ]  # fmt: skip
    assert found.steps[0].fields["domain"] == "client.example.net"
    assert found.outcome == "delivered"


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        ("delivery.dsn-perm-fail", "bounced"),
        ("delivery.connect-error", "waits"),
        ("queue.rescheduled", "waits"),
        ("delivery.null-mx", "waits"),
        ("delivery.rcpt-to-rejected", "waits"),
        ("queue.rate-limit-exceeded", "waits"),
    ],
)
def test_the_outcome_is_one_word(event: str, outcome: str) -> None:
    line = f'2026-11-21T00:50:00Z INFO Something ({event}) queueId = 341714560396296704, reason = "no"'
    (found,) = tracing.traces([341714560396296704], [*LOG[:4], line])
    assert (found.steps[-1].event, found.outcome) == (event, outcome)


def test_what_a_remote_server_answers_names_no_other_message() -> None:
    answer = '550 no", queueId = 7, remotePort = 1, to = "mallory@example.org'
    line = (
        "2026-11-21T00:50:00Z INFO SMTP RCPT TO rejected (delivery.rcpt-to-rejected) queueId = 341714560396296704, "
        f'from = "bob@example.net", hostname = "mx.example.net", code = 550, details = "{answer}", elapsed = 3ms'
    )
    assert tracing.traces([7], [*LOG, line])[0].steps == ()
    (found,) = tracing.traces([341714560396296704], [*LOG, line])
    assert found.steps[-1].event == "delivery.rcpt-to-rejected"


@pytest.mark.parametrize("term", ["", "a", "a b", "a\nb", "\x1b[2J", "x" * 400])
def test_a_term_that_would_match_nothing_or_everything_is_refused(term: str) -> None:
    with pytest.raises(TailwartError, match="cannot be looked for"):
        tracing.check_term(term)


@pytest.mark.parametrize(("text", "engine"), [("12h", "12h"), ("3d", "72h"), ("90s", "90s")])
def test_days_are_hours_for_the_engine(text: str, engine: str) -> None:
    assert tracing.check_since(text) == engine


@pytest.mark.parametrize("text", ["", "1w", "-1h", "1h; reboot", "99999d"])
def test_no_other_text_reaches_the_hosts_shell(text: str) -> None:
    with pytest.raises(TailwartError, match="no time to look back"):
        tracing.check_since(text)


@given(st.lists(st.text(max_size=200), max_size=5))
def test_no_line_of_a_log_breaks_the_reading(lines: list[str]) -> None:
    assert tracing.queue_ids(lines, "alice@example.org") == []
    (found,) = tracing.traces([7], lines)
    assert found.outcome in ("unknown", "waits", "delivered", "bounced")


def test_the_commands_hold_nothing_of_the_term(tmp_path: Path) -> None:
    secret = "alice@example.org"
    assert secret not in tracing.finding("72h") + tracing.following("72h") + str(tmp_path)
