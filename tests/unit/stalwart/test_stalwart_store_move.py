"""Which moves of the data store are refused beforehand, and when two exports are equal."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tailwart import releases
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.mailbox import names
from tailwart.mailbox.datastore import Place, place
from tailwart.runner import Completed
from tailwart.stalwart.lifecycle.store_move import Plan, StoreMove, check, compared

EMBEDDED = place(json.dumps({"@type": "RocksDb", "path": "/var/lib/stalwart/data"}))
POSTGRES = place(
    json.dumps({"@type": "PostgreSql", "host": "stores.tail1234.ts.net", "port": 5432, "database": "mail"})
)


def plan(version: str = "0.16.18", source: Place = EMBEDDED, target: Place = POSTGRES) -> Plan:
    return Plan(source, target, version, bodies=True)


@pytest.mark.parametrize("version", ["0.16.7", "0.16.18"])
def test_both_ways_are_open_for_the_releases_that_were_measured(version: str) -> None:
    check(plan(version), releases.IMPORTER_IMAGE)
    check(plan(version, POSTGRES, EMBEDDED), f"registry.example.org/{releases.IMPORTER_IMAGE}-mine")


@pytest.mark.parametrize(
    ("version", "importer"),
    [
        ("0.16.6", releases.IMPORTER_IMAGE),
        ("0.16.19", releases.IMPORTER_IMAGE),
        ("", releases.IMPORTER_IMAGE),
        ("0.16.18", "stalwartlabs/stalwart:v0.16.18"),
    ],
)
def test_any_other_pair_is_refused_with_the_way(version: str, importer: str) -> None:
    with pytest.raises(TailwartError, match="no safe way") as caught:
        check(plan(version), importer)
    assert "STALWART_IMPORTER_IMAGE" in caught.value.remedy


def test_the_same_store_and_two_of_one_kind_are_refused() -> None:
    with pytest.raises(TailwartError, match="on that store already"):
        check(plan(target=EMBEDDED), releases.IMPORTER_IMAGE)
    other = Place("PostgreSql", "PostgreSQL other at x:5432")
    with pytest.raises(TailwartError, match="one kind") as caught:
        check(plan(source=POSTGRES, target=other), releases.IMPORTER_IMAGE)
    assert "pg_dump" in caught.value.remedy


def test_exports_are_equal_but_for_the_notes_of_processes() -> None:
    before = {"subspace_p": "a", "subspace_t": "b", "subspace_g": "lease 1"}
    assert compared(before, {**before, "subspace_g": "lease 2"}) == []
    assert compared(before, {**before, "subspace_t": "c"}) == ["subspace_t"]
    assert compared(before, {"subspace_p": "a", "subspace_g": "x"}) == ["subspace_t"]
    assert compared(before, {**before, "subspace_q": "new"}) == ["subspace_q"]


class Host:
    """A mailbox host: remembers what was run, answers with what the exports hold, and dies where it is told to."""

    def __init__(self, proof: str = "same", state: str = "", dies_at: str = "") -> None:
        self.scripts: list[str] = []
        self._proof, self._state, self._dies_at = proof, state, dies_at

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.scripts.append(script)
        if self._dies_at and self._dies_at in script:
            return Completed(False, "no space left on device", "")
        if "state.json 2>/dev/null" in script:
            return Completed(True, self._state, "")
        if "FinishedAt" in script:
            return Completed(True, "2026-11-27T12:00:00Z", "")
        if "sha256sum {}" in script:
            content = "same" if "/export &&" in script else self._proof
            return Completed(True, f"{content}  ./subspace_p\nlease  ./subspace_g\n", "")
        # What the host says after files were written and when it is asked whether the server lives.
        return Completed(True, "200\nwritten\n", "")

    def ran(self, text: str) -> bool:
        return any(text in script for script in self.scripts)


def moving(host: Host, done: list[str], empty: Callable[[], bool] = lambda: True) -> StoreMove:
    return StoreMove(
        host,
        plan(),
        releases.IMPORTER_IMAGE,
        (HostFile(f"{names.DIRECTORY}/compose.yaml", "services: {}\n"),),
        empty=empty,
        wipe=lambda: done.append("wiped"),
        switch=lambda: done.append("switched"),
        log=lambda _: None,
    )


def test_the_mailbox_changes_over_only_when_both_exports_are_equal() -> None:
    host, done = Host(), list[str]()
    moving(host, done).execute()
    assert done == ["wiped", "switched"]
    order = [
        next(n for n, script in enumerate(host.scripts) if text in script)
        for text in ("docker stop", "--import", "proof")
    ]
    assert order == sorted(order)
    assert not host.ran("docker start")


@pytest.mark.parametrize(("proof", "dies_at"), [("other", ""), ("same", "--import"), ("same", "--export")])
def test_what_fails_leaves_the_mailbox_running_on_its_old_store(proof: str, dies_at: str) -> None:
    host, done = Host(proof, dies_at=dies_at), list[str]()
    with pytest.raises(TailwartError, match="old"):
        moving(host, done).execute()
    assert "switched" not in done
    assert host.ran("docker start stalwart")


def test_a_store_with_something_in_it_is_refused_before_anything_stops() -> None:
    host, done = Host(), list[str]()
    with pytest.raises(TailwartError, match="is not empty"):
        moving(host, done, empty=lambda: False).execute()
    assert not host.ran("docker stop")
    assert done == []


def test_a_killed_move_goes_on_from_its_export_and_empties_what_it_had_begun() -> None:
    state = {"target": POSTGRES.name, "exported": "2026-11-27T12:00:00Z", "bodies": "outside"}
    host, done = Host(state=json.dumps(state)), list[str]()
    moving(host, done, empty=lambda: False).execute()
    assert not host.ran("docker stop")
    assert done == ["wiped", "switched"]
    assert (
        "blob" not in next(script for script in host.scripts if "--import" in script).partition("EXPORT_TYPES=")[2][:60]
    )


def test_an_export_of_a_server_that_has_run_since_is_made_again() -> None:
    state = {"target": POSTGRES.name, "exported": "2026-11-27T11:00:00Z", "bodies": "inside"}
    host = Host(state=json.dumps(state))
    moving(host, [], empty=lambda: False).execute()
    assert host.ran("docker stop")
