"""Which messages a set should hold: those below the highest UID that it has, and no others."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.backup.comparison import Login, compare, mailboxes, missing, parse_list
from tailwart.runner import Completed

_UIDS = st.frozensets(st.integers(1, 200))


@settings(deadline=None)
@given(before=_UIDS, lost=_UIDS, came=st.frozensets(st.integers(201, 300)), went=_UIDS)
def test_what_the_backup_lost_is_missing_and_what_came_or_went_since_is_not(
    before: frozenset[int], lost: frozenset[int], came: frozenset[int], went: frozenset[int]
) -> None:
    live = {"INBOX": (before - went) | came}
    there = {"INBOX": before - lost}
    highest = max(there["INBOX"], default=0)
    expected = {uid for uid in before & lost - went if uid <= highest}
    assert bool(missing(live, there)) == bool(expected)


def test_mailboxes_that_cannot_be_selected_are_left_alone() -> None:
    answer = (
        '* LIST (\\HasNoChildren) "/" INBOX\r\n* LIST (\\Noselect \\HasChildren) "/" "Shared"\r\n'
        '* LIST (\\Sent) "/" "Sent \\"Items\\""\r\nA1 OK done\r\n'
    )
    assert parse_list(answer) == ["INBOX", 'Sent "Items"']


def test_a_message_that_differs_is_told_and_no_password_is_in_a_command() -> None:
    def run(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        assert "secret-of-alice" not in script
        login, *requests = stdin.splitlines()
        assert login == "alice@example.org:secret-of-alice"
        drill = "docker exec -i drill " in script
        answers = []
        for request in requests:
            if "LIST" in request:
                answers.append('* LIST () "/" INBOX\n')
            elif "SEARCH" in request:
                answers.append("* SEARCH 1 2\n" if drill else "* SEARCH 1 2 3\n")
            else:
                answers.append("0123  -\n" if "UID=1" in request or drill else "4567  -\n")
        return Completed(True, "".join(f"{answer}\n-- answered 0\n" for answer in answers), "")

    found = compare(run, Login("alice@example.org", "secret-of-alice"), "drill")
    assert found.problem == "message 2 of INBOX differs"
    assert (found.mailboxes, found.messages, found.newer, found.gone, found.hashed) == (1, 2, 1, 0, 2)
    assert "secret-of-alice" not in repr(Login("alice@example.org", "secret-of-alice"))


def test_the_script_inside_asks_what_it_is_told_and_hands_no_password_on(tmp_path: Path) -> None:
    """Run by this machine's shell, with a curl that notes its arguments and its configuration."""
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\necho "$@" >>"$NOTES"\ncat /dev/fd/3 >>"$NOTES"\necho "* LIST () \\"/\\" INBOX"\n')
    curl.chmod(0o755)
    notes = tmp_path / "notes"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "NOTES": str(notes)}

    def run(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        inside = shlex.split(script)[-1]
        done = subprocess.run(
            ["dash", "-c", inside],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=timeout,
        )
        return Completed(done.returncode == 0, done.stdout, done.stderr)

    assert mailboxes(run, "drill", Login("alice@example.org", "p|w")) == {"INBOX": frozenset()}
    asked = notes.read_text()
    assert "password" not in asked.split("--config")[0]
    assert all(line == "--config /dev/fd/3" for line in asked.splitlines() if line.startswith("--"))
    assert 'user = "alice@example.org:p|w"\nurl = "imaps://127.0.0.1/"\nrequest = "LIST \\"\\" \\"*\\""' in asked
    assert 'url = "imaps://127.0.0.1/INBOX"\nrequest = "UID SEARCH ALL"' in asked
