"""Code that was deployed against that of the checkout: a real repository, and what hosts and machine remember."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tailwart.checks.mailbox import MAILBOX
from tailwart.checks.model import Verdict
from tailwart.checks.revision import Code
from tailwart.history import latest
from tailwart.history.latest import Latest
from tailwart.history.record import Deploy, HostChanges, host_line
from tailwart.history.working import Working, changed_since, working
from tests.unit.checks.test_checks_facts import mailbox, probe, verdict

THEN = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


def line(revision: str = "1a2b3c4d5e", tree: str = "t1", *, modified: bool = False, failure: str = "") -> str:
    """What a host keeps of a deploy."""
    changes = {"mailbox": HostChanges(("x",), failure=failure)}
    return host_line(
        Deploy(revision, modified, "alice@laptop", THEN, 9, "deploy", "image", changes, tree=tree), "mailbox"
    )


def code(now: Working, *changed: str, noted: Latest | None = None, known: bool = True) -> Code:
    return Code(now, {"mailbox": noted} if noted else {}, lambda _: changed if known else None)


HERE = Working("1a2b3c4d5e", "t1")
LATER = Latest("99999fffff", False, "t2", THEN + timedelta(hours=1))


@pytest.mark.parametrize(
    ("found", "lines", "expected", "seen"),
    [
        (code(HERE), line(), Verdict.PASSED, ""),
        (code(Working("7777777777", "t1")), line(), Verdict.PASSED, ""),
        (code(Working("7777777777", "t1", ("tasks/edge.py",))), line(), Verdict.PASSED, ""),
        (code(HERE, noted=LATER), line(), Verdict.FAILED, "deployed is 99999fffff of 2026-11-27 10:00 UTC"),
        (code(Working("99999fffff", "t2"), noted=LATER), line(), Verdict.PASSED, ""),
        (
            code(Working("7777777777", "t2"), "tasks/edge.py", "deploy.py"),
            line(),
            Verdict.FAILED,
            "deployed is 1a2b3c4d5e of 2026-11-27 09:00 UTC, here is 7777777777: tasks/edge.py, deploy.py changed",
        ),
        (code(Working("1a2b3c4d5e", "t2", ("a", "b", "c", "d")), "a"), line(), Verdict.FAILED, "a, b, c and 1 more"),
        (code(HERE), line(tree="t9", modified=True), Verdict.FAILED, "deployed is 1a2b3c4d5e+"),
        (code(HERE), line(tree="", modified=True), Verdict.FAILED, "files that are in no commit"),
        (code(HERE), line(tree=""), Verdict.PASSED, ""),
        (code(HERE, known=False), line("5555555555", "t5"), Verdict.FAILED, "git fetch"),
        (code(HERE), f"{line()}\n{line(tree='t2', failure='it broke')}", Verdict.PASSED, ""),
        (code(Working()), line(), Verdict.SKIPPED, "no git repository"),
        (code(HERE), "", Verdict.UNKNOWN, "no deploy is recorded"),
        (code(HERE), line("", ""), Verdict.UNKNOWN, "outside of a git repository"),
        (code(HERE), "{half a line\n[]\n", Verdict.UNKNOWN, "no deploy is recorded"),
        (None, line(), Verdict.UNKNOWN, "not looked at"),
    ],
)
def test_what_is_deployed_against_what_is_here(found: Code | None, lines: str, expected: Verdict, seen: str) -> None:
    result, said = verdict(replace(mailbox({"history": probe(lines)}), code=found), "revision")
    assert result is expected and seen in said, said


def test_a_host_that_does_not_show_its_record_is_never_green() -> None:
    assert verdict(replace(mailbox({"history": probe("", 1)}), code=code(HERE)), "revision")[0] is Verdict.UNKNOWN
    (check,) = [each for each in MAILBOX.checks() if each.id == "mailbox.revision"]
    assert check.severity.value == "recommended" and "deploy.py" in check.remedy


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def test_the_digest_is_of_what_is_deployed_committed_or_not(tmp_path: Path) -> None:
    assert working(tmp_path) == Working()
    git(tmp_path, "init", "-q")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/edge.py").write_text("one\n")
    (tmp_path / "README.md").write_text("about\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    first = working(tmp_path)
    assert first.revision and first.tree and not first.edited

    (tmp_path / "README.md").write_text("more about\n")
    assert working(tmp_path) == first, "documentation is not deployed"
    (tmp_path / "tasks/edge.py").write_text("two\n")
    (tmp_path / "tasks/new.py").write_text("new\n")
    edited = working(tmp_path)
    assert edited.edited == ("tasks/edge.py", "tasks/new.py") and edited.tree != first.tree
    assert edited.code == f"{first.revision}+"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "second")
    second = working(tmp_path)
    assert second.tree == edited.tree and second.revision != first.revision and not second.edited
    assert changed_since(first.revision, tmp_path) == ("tasks/edge.py", "tasks/new.py")
    assert changed_since(second.revision, tmp_path) == ()
    assert changed_since("0123456789", tmp_path) is None


def test_the_notes_of_this_machine_are_private_and_kept_by_host(tmp_path: Path) -> None:
    latest.add("example.org", {"mailbox": LATER, "edge-1": LATER}, tmp_path)
    other = replace(LATER, revision="8888888888")
    latest.add("example.org", {"mailbox": other}, tmp_path)
    assert latest.read("example.org", tmp_path) == {"mailbox": other, "edge-1": LATER}
    file = latest.path("example.org", tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(json.dumps({"mailbox": {"revision": 1}, "edge-1": None}))
    assert latest.read("example.org", tmp_path) == {}
    file.write_text("{")
    assert latest.read("example.org", tmp_path) == {} == latest.read("other.example", tmp_path)
