"""Which moves of the data store are refused beforehand, and when two exports are equal."""

from __future__ import annotations

import json

import pytest

from tailwart import releases
from tailwart.errors import TailwartError
from tailwart.stalwart.lifecycle.store_move import Place, Plan, check, compared, place

EMBEDDED = place(json.dumps({"@type": "RocksDb", "path": "/var/lib/stalwart/data"}))
POSTGRES = place(
    json.dumps({"@type": "PostgreSql", "host": "stores.tail1234.ts.net", "port": 5432, "database": "mail"})
)


def plan(version: str = "0.16.18", source: Place = EMBEDDED, target: Place = POSTGRES) -> Plan:
    return Plan(source, target, version, bodies=True)


def test_a_store_is_named_as_people_know_it() -> None:
    assert POSTGRES.name == "PostgreSQL mail at stores.tail1234.ts.net:5432"
    assert EMBEDDED.name == "embedded store /var/lib/stalwart/data"
    assert place("").kind == ""


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
