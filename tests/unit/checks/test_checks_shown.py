"""The forms of one outcome: terminal, JSON, Prometheus, page and history."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tailwart.checks import history, page, prometheus, terminal
from tailwart.checks.doctor import catalogue
from tailwart.checks.history import Look
from tailwart.checks.model import Verdict
from tests.unit.checks.sample import BEGAN, HOSTILE, environment, outcome

BAD = {"mailbox.store-errors": Verdict.FAILED, "edge.listens": Verdict.UNKNOWN, "server.queue": Verdict.SKIPPED}


def test_the_terminal_says_the_verdict_first_and_ends_with_the_next_step() -> None:
    lines = terminal.render(outcome(BAD)).splitlines()
    assert lines[0].endswith("1 failed (1 of them required), 2 could not look.")
    assert lines[2].startswith("FAILED  mailbox.store-errors: ")
    assert "  lesson:  1 (docs/lessons.md)" in lines
    assert lines[-1] == "Then: tailwart doctor --only mailbox.store-errors"
    assert "\x1b" not in "".join(lines)
    assert terminal.render(outcome()).splitlines()[0] == f"All {len(outcome().results)} checks in 3.2 s passed."


def test_json_holds_every_result() -> None:
    document = json.loads(json.dumps(outcome(BAD).document()))
    assert document["failed"] and document["could_not_look"]
    assert document["counts"]["failed"] == 1
    assert {item["id"] for item in document["results"]} == {item.id for item in catalogue()}


def test_prometheus_reads_the_export(tmp_path: Path) -> None:
    file = tmp_path / "tailwart.prom"
    prometheus.write(file, prometheus.render(outcome(BAD), 'a"b\\c'))
    families = {family.name: family for family in text_string_to_metric_families(file.read_text())}
    samples = families["tailwart_check"].samples
    values = {(item.labels["id"], item.labels["host"]): item.value for item in samples}
    assert values["mailbox.store-errors", "mailbox"] == 0
    assert values["edge.listens", "edge-2"] == -1
    assert values["edge.binary", "edge-1"] == 1
    assert ("server.queue", "mailbox") not in values
    assert {item.labels["domain"] for item in samples} == {'a"b\\c'}
    assert families["tailwart_doctor_timestamp_seconds"].samples[0].value == BEGAN.timestamp()
    assert [each.name for each in tmp_path.iterdir()] == ["tailwart.prom"]


class Parsed(HTMLParser):
    """Tags, attributes and texts of a page, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def rendered(verdicts: dict[str, Verdict]) -> Parsed:
    parsed = Parsed()
    looks = [Look(BEGAN - timedelta(days=days), 50, (("edge.listens edge-1", "failed"),)) for days in (2, 1, 0)]
    parsed.feed(page.render(outcome(verdicts), environment(), looks))
    return parsed


def test_the_page_asks_nobody_for_anything_and_runs_nothing() -> None:
    found = rendered(BAD)
    names = {tag for tag, _ in found.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "form", "style src"}
    for tag, attributes in found.tags:
        assert not {"src", "href", "onclick", "onload"} & set(attributes), tag
    assert ("http-equiv", "Content-Security-Policy") in {
        item for _, attributes in found.tags for item in attributes.items()
    }
    assert "alert(1)" in found.text and "\x1b" not in found.text


def test_the_page_says_in_words_what_it_shows_in_colours() -> None:
    found = rendered(BAD)
    (way,) = {text for text in re.findall(r"zone: [^\n]+", found.text) if "smarthost" in text}
    assert "edge-1: could not look" in way and "mailbox: failed" in way and "zone: all well" in way
    assert "tailwart doctor" not in way
    assert "The last 3 runs" in found.text and "2027-01-01" in found.text


# A page is a hundred kilobytes.
@settings(max_examples=20)
@given(st.dictionaries(st.sampled_from([item.id for item in catalogue()]), st.sampled_from(list(Verdict))))
def test_the_page_is_well_formed_whatever_was_found(verdicts: dict[str, Verdict]) -> None:
    assert not rendered(verdicts).open


def test_the_history_keeps_a_hundred_and_tells_what_changed(tmp_path: Path) -> None:
    file = tmp_path / "doctor" / "example.org.jsonl"
    for _ in range(history.KEPT):
        history.add(file, outcome(BAD))
    with file.open("a") as stream:
        stream.write("not a line of ours\n")
    looks = history.add(file, outcome({"edge.listens": Verdict.FAILED}))
    assert len(looks) == history.KEPT == len(history.read(file))
    assert file.stat().st_mode & 0o777 == 0o600
    before = history.previous(looks)
    assert before is not None
    changed = {(item.name, item.before, item.now) for item in history.changes(before, looks[-1])}
    assert ("mailbox.store-errors mailbox", "failed", "passed") in changed
    assert ("edge.listens edge-1", "could not look", "failed") in changed
    assert HOSTILE not in file.read_text()


@pytest.mark.parametrize("line", ["", "{", "[]", '{"began": 1}', '{"began": "x", "passed": 1, "others": [1]}', "\x00"])
def test_a_broken_line_of_the_history_is_skipped(tmp_path: Path, line: str) -> None:
    file = tmp_path / "history"
    file.write_text(f"{line}\n")
    assert history.read(file) == []
    assert history.read(tmp_path / "missing") == []
