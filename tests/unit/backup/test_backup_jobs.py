"""Asking the host for a job: its own end is waited for, and an end without a word is a failure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable

import pytest

from tailwart.backup import sets
from tailwart.backup.job import perform
from tailwart.errors import TailwartError
from tailwart.runner import Completed


class Host:
    """A mailbox host whose job ends after some looks, with the given document."""

    def __init__(self, end: Callable[[str], dict[str, object] | None], looks: int = 3) -> None:
        self.job = ""
        self.request = ""
        self.scripts: list[str] = []
        self._end = end
        self._left = looks

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.scripts.append(script)
        if stdin:
            self.request = base64.b64decode(stdin.split()[1]).decode()
            found = re.search(r"job=(\w+)", self.request)
            assert found
            self.job = found[1]
            return Completed(True, "written\n", "")
        if "is-active" in script and "-- result --" in script:
            self._left -= 1
            document = self._end(self.job) if self._left <= 0 else {"job": "of-an-earlier-run", "ok": True}
            state = "active" if self._left > 0 else "inactive"
            return Completed(
                True, f"stage {self._left}\n-- result -- {state}\n{json.dumps(document) if document else ''}", ""
            )
        return Completed(True, "the journal\n" if "journalctl" in script else "", "")


def test_the_result_of_the_job_itself_is_waited_for() -> None:
    host, seen = Host(lambda job: {"job": job, "ok": True, "set": "x"}), list[str]()
    assert perform(host, "backup", {"TO": "/srv/it's here"}, seen.append)["set"] == "x"
    assert seen == ["stage 2", "stage 1", "stage 0"]
    assert "TO='/srv/it'\"'\"'s here'" in host.request
    assert any("systemctl start --no-block tailwart-backup.service" in script for script in host.scripts)


def test_a_job_that_fails_says_why() -> None:
    document = {"ok": False, "what": "the backup password is wrong", "seen": "s", "remedy": "set it"}
    with pytest.raises(TailwartError, match="the backup password is wrong") as caught:
        sets.take(Host(lambda job: {"job": job, **document}))
    assert caught.value.remedy == "set it"


def test_a_job_that_was_killed_is_no_success_although_an_earlier_one_was() -> None:
    with pytest.raises(TailwartError, match="ended without a result") as caught:
        sets.take(Host(lambda _: {"job": "of-an-earlier-run", "ok": True}))
    assert "the journal" in caught.value.seen


def test_a_host_without_the_scripts_is_told_before_anything_is_asked() -> None:
    def bare(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        assert not stdin
        return Completed("common.sh" not in script, "", "")

    with pytest.raises(TailwartError, match="not set up for backups"):
        sets.sets(bare)
