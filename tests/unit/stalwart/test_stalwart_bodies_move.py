"""Message bodies move from one place to another: what is refused, what is compared, and how a dead move goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tailwart import releases
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.mailbox import names
from tailwart.runner import Completed
from tailwart.stalwart.lifecycle.bodies_move import BodiesMove, BodiesPlan, check
from tailwart.stalwart.lifecycle.one_off import NEW, OLD, OneOff
from tailwart.stalwart.protocol.jmap import Answer, Call

DEFAULT: dict[str, Any] = {"@type": "Default", "id": "singleton"}
BUCKET: dict[str, Any] = {
    "@type": "S3",
    "bucket": "stalwart-mail",
    "region": {"@type": "Custom", "customEndpoint": "http://garage.tail1234.ts.net:3900", "customRegion": "garage"},
    "accessKey": {"@type": "Value", "value": "GK1"},
    "secretKey": {"@type": "EnvironmentVariable", "variableName": names.ENV_S3},
}
OUT = BodiesPlan(DEFAULT, BUCKET, "0.16.18", used=4096)
STOPPED = "2026-11-27T12:00:00Z"
ROOM = 1 << 30


def test_places_are_named_as_people_know_them() -> None:
    assert OUT.source == "the data store"
    assert OUT.target == "bucket stalwart-mail at http://garage.tail1234.ts.net:3900"
    assert "4096 bytes of mail" in OUT.message()


def test_both_ways_and_another_bucket_are_open() -> None:
    for before, after in ((DEFAULT, BUCKET), (BUCKET, DEFAULT), (BUCKET, {**BUCKET, "bucket": "other"})):
        check(BodiesPlan(before, after, "0.16.18", 4096), releases.IMPORTER_IMAGE, ROOM)


@pytest.mark.parametrize(
    ("plan", "free", "says"),
    [
        (replace(OUT, version="0.16.19"), ROOM, "no safe way"),
        (replace(OUT, before={"@type": "FileSystem"}), ROOM, "kind of store"),
        (
            replace(OUT, before={**BUCKET, "secretKey": {"@type": "Value"}}, after=DEFAULT),
            ROOM,
            "in the server's settings",
        ),
        (OUT, 8191, "too little room"),
    ],
)
def test_what_cannot_be_done_safely_is_refused_beforehand(plan: BodiesPlan, free: int, says: str) -> None:
    with pytest.raises(TailwartError, match=says):
        check(plan, releases.IMPORTER_IMAGE, free)


class Host:
    """A mailbox host whose server is stopped or runs; remembers commands, notes and settings in their order."""

    def __init__(
        self, proof: str = "same", dies_at: str = "", state: Mapping[str, str] | None = None, running: bool = True
    ) -> None:
        self.did: list[str] = []
        self.running = running
        self.state = json.dumps(state) if state else ""
        self._proof, self._dies_at = proof, dies_at

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        if self._dies_at and self._dies_at in script:
            return Completed(False, "no space left on device", "")
        if script.startswith("cat ") and "state.json" in script:
            return Completed(True, self.state, "")
        if "FinishedAt" in script:
            return Completed(True, "" if self.running else STOPPED, "")
        if "sha256sum {}" in script:
            content = self._proof if "/proof " in script else "same"
            return Completed(True, f"{content}  ./subspace_t\nlinks  ./subspace_k\n", "")
        if "wc -c" in script:
            return Completed(True, "5000\n", "")
        for command, running in (("docker stop --time 60 stalwart", False), ("docker start stalwart", True)):
            if script == command:
                self.running = running
                self.did.append(command.split(" ")[1])
        for option in ("--export", "--import"):
            if f"{option} /move/" in script:
                where = "new" if f"cd {NEW};" in script else "old"
                self.did.append(f"{option[2:]} {script.partition(f'{option} /move/')[2].split()[0]} {where}")
        return Completed(True, "200\nwritten\n", "")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recovery mode and notes are written down in the order in which they come."""

    class Client:
        def __init__(self, host: Host) -> None:
            self._host = host

        def call(self, calls: Sequence[Call]) -> list[Answer]:
            (call,) = calls
            self._host.did.append(f"set {call.arguments['update']['singleton']['@type']}")
            return [Answer(call, {"updated": {"singleton": None}})]

    @contextmanager
    def recovery(self: OneOff, directory: str) -> Iterator[Client]:
        assert directory in (OLD, NEW)
        yield Client(self._run)  # type: ignore[arg-type]  # the tests' own host

    def note(self: OneOff, state: Mapping[str, str]) -> None:
        host = self._run
        assert isinstance(host, Host)
        host.state = json.dumps(dict(state))
        host.did.append("switched" if names.MOVE_SWITCHED in state else "note")

    monkeypatch.setattr(OneOff, "recovery", recovery)
    monkeypatch.setattr(OneOff, "note", note)


def moving(host: Host, plan: BodiesPlan = OUT) -> BodiesMove:
    return BodiesMove(
        host,
        plan,
        releases.IMPORTER_IMAGE,
        (HostFile(f"{names.DIRECTORY}/compose.yaml", "services: {}\n"),),
        probe=lambda shell: host.did.append(f"probe {'new' if NEW in shell else 'old'}"),
        switch=lambda: host.did.append("up"),
        log=lambda _: None,
    )


def test_the_mailbox_changes_over_only_when_every_body_was_read_back() -> None:
    host = Host()
    moving(host).execute()
    assert host.did == [
        "probe new",
        "note",
        "stop",
        "export bodies old",
        "note",
        "switched",
        "set S3",
        "import bodies/subspace_t new",
        "export proof new",
        "up",
    ]


@pytest.mark.parametrize(("proof", "dies_at"), [("other", ""), ("same", "--import /move/")])
def test_what_fails_puts_the_settings_back_and_the_mailbox_runs(proof: str, dies_at: str) -> None:
    host = Host(proof, dies_at)
    with pytest.raises(TailwartError, match="old"):
        moving(host).execute()
    assert host.did[-3:] == ["set Default", "note", "start"]
    assert "up" not in host.did


def test_an_export_that_fails_changes_no_setting() -> None:
    host = Host(dies_at="--export /move/")
    with pytest.raises(TailwartError, match="old store"):
        moving(host).execute()
    assert host.did == ["probe new", "note", "stop", "start"]


def test_an_export_without_a_body_is_not_taken_for_a_mailbox_without_mail() -> None:
    class Empty(Host):
        def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
            done = super().__call__(script, stdin=stdin, timeout=timeout)
            return Completed(True, "30\n", "") if "wc -c" in script else done

    host = Empty()
    with pytest.raises(TailwartError, match="no message body"):
        moving(host).execute()
    assert host.did[-1] == "start"
    moving(Empty(), replace(OUT, used=0)).execute()


def test_a_place_that_takes_nothing_is_found_before_anything_stops() -> None:
    host = Host()

    def refused(shell: str) -> None:
        raise TailwartError("the blob store does not serve stalwart-mail")

    move = moving(host)
    move.probe = refused
    with pytest.raises(TailwartError, match="does not serve"):
        move.execute()
    assert host.did == []


NOTED = {"target": OUT.target, "before": json.dumps(DEFAULT), "exported": STOPPED}


def test_a_killed_move_goes_on_from_its_export() -> None:
    host = Host(state={**NOTED, names.MOVE_SWITCHED: "yes"}, running=False)
    moving(host).execute()
    assert host.did == [
        "probe new",
        "switched",
        "set S3",
        "import bodies/subspace_t new",
        "export proof new",
        "up",
    ]


def test_what_came_in_while_somebody_ran_the_server_in_between_is_not_lost() -> None:
    host = Host(state={**NOTED, names.MOVE_SWITCHED: "yes"}, running=True)
    moving(host).execute()
    assert host.did[:7] == [
        "probe new",
        "stop",
        "export meanwhile new",
        "set Default",
        "note",
        "import meanwhile/subspace_t old",
        "start",
    ]
    assert host.did[7:10] == ["note", "stop", "export bodies old"]
    assert host.did[-1] == "up"


def test_a_refused_setting_is_an_error_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()

    class Refusing:
        def call(self, calls: Sequence[Call]) -> list[Answer]:
            (call,) = calls
            if call.arguments["update"]["singleton"]["@type"] == "Default":
                return [Answer(call, {"updated": {"singleton": None}})]
            error = {"type": "invalidPatch", "description": "not this"}
            return [Answer(call, {"notUpdated": {"singleton": error}})]

    @contextmanager
    def recovery(self: OneOff, directory: str) -> Iterator[Refusing]:
        yield Refusing()

    monkeypatch.setattr(OneOff, "recovery", recovery)
    with pytest.raises(TailwartError, match="refuses the new blob store") as caught:
        moving(host).execute()
    assert "invalidPatch not this" in caught.value.seen
    assert host.running
