"""An upgrade: which steps are refused, what the host remembers, and the way back of image and data."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart import releases
from tailwart.errors import TailwartError
from tailwart.hosts.project import ComposeProject
from tailwart.mailbox.project import compose_project
from tailwart.runner import Completed
from tailwart.upgrade import copies, proof, step, upgrading
from tailwart.upgrade.copies import Database
from tailwart.upgrade.step import Images, Note
from tailwart.upgrade.upgrading import Mailbox
from tests.unit.mailbox.test_mailbox_render import environment

BEFORE = Images("registry.example.org/stalwart:v0.16.7", "tailscale/tailscale:v1.102.5")
AFTER = Images("registry.example.org/stalwart:v0.16.18", "tailscale/tailscale:v1.102.5")
PROJECT = compose_project(environment())


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("0.16.18", "1.0.0", "0.16.27"),
        ("1.0.2", "0.16.18", "migration"),
        ("0.15.4", "0.16.18", "STALWART_IMAGE"),
        ("0.16.18", "0.15.4", "older servers"),
    ],
)
def test_a_step_that_nobody_has_walked_is_refused_with_the_way_to_go(before: str, after: str, expected: str) -> None:
    with pytest.raises(TailwartError, match=r"no direct way") as refused:
        step.check(before, after)
    assert expected in refused.value.remedy


def test_steps_within_the_series_are_good_and_what_is_special_is_said() -> None:
    assert step.check("0.16.7", "0.16.18") == ""
    assert step.check("", "0.16.18") == ""
    assert "newer than every release that was tested" in step.check("0.16.18", "0.16.99")
    assert "older than" in step.check("0.16.18", "0.16.7")


def test_the_images_are_read_from_the_file_that_the_deploy_writes() -> None:
    text = next(file.data.decode() for file in PROJECT.files if file.path == PROJECT.compose_path)
    found = step.images(text)
    assert found == Images(releases.DEFAULT_IMAGE, "tailscale/tailscale:v1.102.5")
    assert step.images(text.replace("stalwart:\n", "other:\n")) is None
    assert step.images("") is None


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_a_note_reads_back_and_a_damaged_one_is_none(one: str, other: str, copy: str) -> None:
    note = Note(Images(one, other), Images(other, one), copy)
    assert step.parse(note.dump()) == note
    assert step.parse(note.dump()[:-3]) is None
    assert step.refused(one) in ("", one)


def test_ids_of_the_queue_are_written_as_the_server_writes_them() -> None:
    # Recorded: `queued with id …` and the object's id.
    assert [proof.jmap_id(number) for number in (0, 1, 31, 32)] == ["a", "b", "3", "ba"]


class Host:
    """Answers scripts: those that match one of ``fails`` fail, the first so many times."""

    def __init__(self, note: Note | None = None, fails: dict[str, int] | None = None) -> None:
        self.note = note
        self.fails = fails or {}
        self.scripts: list[str] = []
        self.written: list[str] = []

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.scripts.append(script)
        if stdin and "base64 -d" in script:
            self.written.append(script)
            return Completed(True, "written\n", "")
        for word, times in self.fails.items():
            if times and re.search(word, script):
                self.fails[word] = times - 1
                return Completed(False, "", f"{word} failed")
        if script.startswith(f"cat {step.NOTE}"):
            return Completed(True, self.note.dump() if self.note else "", "")
        if "gaps" in script:
            return Completed(True, "1500\n700\n", "")
        return Completed(True, f"{upgrading.PREVIOUS}: config\nconfig\n", "")

    def did(self, part: str) -> bool:
        return any(part in script for script in self.scripts)


def mailbox(project: ComposeProject = PROJECT, embedded: bool = True, stores: Host | None = None) -> Mailbox:
    database = Database(lambda: stores, "stalwart", "stalwart") if stores else None
    return Mailbox(project, AFTER, (), "admin@example.org", embedded, database)


def test_what_does_not_come_up_is_taken_back_with_the_data_as_it_is() -> None:
    lines: list[str] = []
    host = Host(Note(BEFORE, AFTER, copies.EMBEDDED))
    with (
        pytest.raises(TailwartError, match=r"failed and was taken back; 0\.16\.7 serves again") as failed,
        upgrading.guarded(host, lines.append, mailbox()),
    ):
        raise TailwartError("stalwart is not healthy", seen="no answer")
    assert "nobody answered for 2.2 s" in failed.value.seen
    assert "nothing that was accepted is lost" in failed.value.seen
    assert host.did("before-upgrade.part"), "the store is copied while nobody writes to it"
    assert not host.did("failed-"), "and not put back without need"
    assert any(step.REFUSED in script for script in host.written)


@pytest.mark.parametrize("embedded", [True, False])
def test_a_store_that_the_earlier_version_cannot_read_is_put_back_and_the_newer_one_kept(embedded: bool) -> None:
    lines: list[str] = []
    stores = None if embedded else Host()
    kind = copies.EMBEDDED if embedded else copies.DATABASE
    host = Host(Note(BEFORE, AFTER, kind), fails={"--wait-timeout": 1})
    with (
        pytest.raises(TailwartError, match="failed and was taken back") as failed,
        upgrading.guarded(host, lines.append, mailbox(embedded=embedded, stores=stores)),
    ):
        raise TailwartError("stalwart is not healthy")
    assert "mail that it accepted included" in failed.value.seen
    if stores is None:
        assert host.did('mv "$v" "$d/failed-')
    else:
        assert stores.did("pg_restore --dbname")
        assert "stalwart_failed_" in failed.value.seen


def test_where_neither_version_comes_up_everything_is_kept_and_said() -> None:
    host = Host(Note(BEFORE, AFTER, copies.EMBEDDED), fails={"--wait-timeout": 9})
    with pytest.raises(TailwartError, match="neither the new version nor the one from before"):
        upgrading.take_back(host, Note(BEFORE, AFTER, copies.EMBEDDED), mailbox(), print)
    assert not host.did(f"rm -f {step.NOTE}"), "the next run goes on with it"


def test_a_store_that_cannot_be_copied_stops_the_upgrade_and_the_present_version_goes_on() -> None:
    host = Host(Note(BEFORE, AFTER, copies.EMBEDDED), fails={"before-upgrade.part": 1})
    entered = False
    with (
        pytest.raises(TailwartError, match="cannot be copied before the upgrade"),
        upgrading.guarded(host, print, mailbox()),
    ):
        entered = True
    assert not entered
    assert host.did("docker compose"), "it is started again"


def test_an_image_that_cannot_be_fetched_changes_nothing() -> None:
    host = Host(fails={"docker pull": 1})
    with pytest.raises(TailwartError, match="cannot be fetched; what serves still does"):
        upgrading.prepare(host, mailbox(), BEFORE, print)
    assert host.written == []
    assert not host.did("docker stop")
