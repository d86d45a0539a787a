"""The order of a move, failed at each of its steps: never two servers, and nobody is let in before the proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tailwart.errors import TailwartError
from tailwart.migration import moving
from tailwart.migration.journal import Journal, Step
from tailwart.migration.moving import Move
from tailwart.runner import Completed

ADDRESS = "root@192.0.2.11:22"
ACCOUNTS = {"alice@example.org": 5}


class Stage:
    """Both hosts and the edge as a list of what was done to them; one step may fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.failing = ""
        self.note: Journal | None = None
        self.accounts_there = ACCOUNTS
        for module, name, title in (
            (moving.engine, "provide", "engine"),
            (moving.hosts, "arriving", "arriving"),
            (moving.images, "fetch", "image"),
            (moving, "make_volumes", "volumes"),
            (moving.copying, "ahead", "ahead"),
            (moving.holding, "hold", "hold edge"),
            (moving.holding, "release", "release edge"),
            (moving.hosts, "stop", "stop old"),
            (moving.hosts, "remove_containers", "remove new"),
            (moving.copying, "history", "history"),
            (moving, "bring_sidecar_up", "sidecar new"),
            (moving, "bring_up", "start new"),
            (moving.proof, "prove", "prove new"),
            (moving.hosts, "start_again", "start old"),
        ):
            monkeypatch.setattr(module, name, self.step(title))
        monkeypatch.setattr(moving.copying, "folders", lambda *_: ["data", "state"])
        monkeypatch.setattr(moving.copying, "whole", self.step("copy", 7))
        monkeypatch.setattr(moving.gate, "close", lambda run, *_, **__: self.do(f"close {run}"))
        monkeypatch.setattr(moving.gate, "open_", lambda run: self.do(f"open {run}"))
        monkeypatch.setattr(moving.gate, "closed", lambda _: True)
        monkeypatch.setattr(moving.gate, "drain", self.step("drain", True))
        monkeypatch.setattr(moving.hosts, "read_journal", lambda _: self.note)
        monkeypatch.setattr(moving.hosts, "write_journal", self.write)
        monkeypatch.setattr(moving, "_accounts", lambda run: ACCOUNTS if str(run) == "old" else self.accounts_there)
        monkeypatch.setattr(moving, "administrator_address", lambda _: "admin@example.org")
        monkeypatch.setattr(
            moving, "Queue", lambda *_, **__: SimpleNamespace(hold=self.step("queue"), resume=self.step("resume"))
        )

    def step(self, title: str, answer: Any = None) -> Callable[..., Any]:
        def taken(*_: Any, **__: Any) -> Any:
            self.do(title)
            return answer

        return taken

    def do(self, title: str) -> None:
        self.done.append(title)
        if title == self.failing:
            self.failing = ""
            raise TailwartError(f"{title} failed")

    def write(self, _: Any, entry: Journal) -> None:
        self.do(f"note {entry.step}")
        self.note = entry

    def move(self) -> Move:
        settings: Any = SimpleNamespace(
            mail_services=SimpleNamespace(on=(), public=()), smarthost_port=587, tailscale_image="a", stalwart_image="b"
        )
        old, new, edge = (Named(name) for name in ("old", "new", "edge"))
        project: Any = SimpleNamespace()
        # These hosts answer as a connection does, without one.
        return Move(settings, project, old, new, ADDRESS, {"edge-1": edge}, lambda _: None)  # type: ignore[arg-type]


class Named:
    """A runner that is only told apart."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return self._name

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        return Completed(True, "", "")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    yield Stage(monkeypatch)


def test_a_move_in_its_order(stage: Stage) -> None:
    move = stage.move()
    assert move.execute(None) > 0
    move.finish()
    assert stage.done == [
        "engine", "arriving", "image", "image", "volumes", "ahead",
        "hold edge", "close old", "drain", "queue", "note stopped", "stop old",
        "remove new", "copy", "copy", "history", "sidecar new", "close new", "start new", "prove new",
        "note moved", "open new", "release edge", "note done",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "failing",
    ["close old", "drain", "queue", "note stopped", "stop old", "copy", "history", "sidecar new", "close new",
     "start new", "prove new"],
)  # fmt: skip
def test_whatever_fails_before_the_proof_the_old_host_serves_again(stage: Stage, failing: str) -> None:
    stage.failing = failing
    with pytest.raises(TailwartError, match="serves on the old host again"):
        stage.move().execute(None)
    stopped = "stop old" in stage.done
    back = stage.done.index("start old" if stopped else "open old")
    assert stage.done.index("remove new", stage.done.index(failing)) < back, "the new host ends first"
    assert "open new" not in stage.done, "nobody was let in"
    assert stage.done[-1] == "release edge"


def test_an_account_with_less_mail_is_no_move(stage: Stage) -> None:
    stage.accounts_there = {"alice@example.org": 4}
    with pytest.raises(TailwartError, match="does not hold what the old one held") as caught:
        stage.move().execute(None)
    assert "alice@example.org: 4 of 5 bytes" in caught.value.seen
    assert "open new" not in stage.done


def test_a_killed_move_goes_on_with_the_copy_and_never_asks_the_stopped_server(stage: Stage) -> None:
    stage.note = Journal(ADDRESS, Step.STOPPED, ACCOUNTS)
    stage.move().execute(stage.note)
    assert stage.done[:3] == ["hold edge", "remove new", "copy"]
    assert "queue" not in stage.done and stage.note.step is Step.MOVED


def test_after_the_proof_nothing_is_copied_again(stage: Stage) -> None:
    stage.note = Journal(ADDRESS, Step.MOVED, ACCOUNTS)
    assert stage.move().execute(stage.note) == 0
    assert stage.done == ["open new"]


def test_a_move_is_given_up_only_before_the_new_host_served(stage: Stage) -> None:
    for note in (None, Journal(ADDRESS, Step.MOVED), Journal(ADDRESS, Step.DONE)):
        stage.note = note
        with pytest.raises(TailwartError, match="nothing to give up"):
            stage.move().give_up()
    assert stage.done == []
    stage.note = Journal(ADDRESS, Step.STOPPED)
    stage.move().give_up()
    assert stage.done == ["remove new", "start old"]


def test_an_edge_that_cannot_hold_stops_no_move(stage: Stage) -> None:
    stage.failing = "hold edge"
    move = stage.move()
    move.execute(None)
    assert move.held == [] and "open new" in stage.done
