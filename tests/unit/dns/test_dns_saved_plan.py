"""A saved plan is applied exactly as it was read, or not at all."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.dns import savedplan
from tailwart.errors import TailwartError
from tailwart.providers.record import Record, record
from tests.unit.dns.bench import Bench
from tests.unit.dns.memory import Memory
from tests.unit.dns.names import Knot


def kept(bench: Bench, path: Path) -> Path:
    savedplan.save(path, [bench.plan()], bench.provider.label)
    return path


def test_a_saved_plan_is_written_as_it_was_read(rfc2136: Bench, knot: Knot, tmp_path: Path) -> None:
    path = kept(rfc2136, tmp_path / "plan")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    changed_since = rfc2136.with_overrides(dns_records={"later A": "198.51.100.9"})
    plans = changed_since.plane.guard(savedplan.load(path, rfc2136.provider, rfc2136.plane.zones))
    rfc2136.plane.apply(plans.values(), rfc2136.provider, lambda _: None)
    assert knot.values(f"mail.{rfc2136.zone}", "A") == ["198.51.100.11"]
    assert knot.values(f"later.{rfc2136.zone}", "A") == [], "what is wished since is not in the plan"
    assert not rfc2136.plan()


@pytest.mark.parametrize("edit", ["another record", "another ttl", "a record is gone"])
def test_a_zone_that_has_moved_refuses_the_plan_and_nothing_is_written(
    rfc2136: Bench, knot: Knot, tmp_path: Path, edit: str
) -> None:
    zone = rfc2136.zone
    old = record(zone, "www", "A", "203.0.113.9", 600)
    rfc2136.provider.change(zone, [old], [])
    path = kept(rfc2136, tmp_path / "plan")
    puts = {"another record": [record(zone, "new", "A", "203.0.113.8", 600)], "another ttl": [old.with_ttl(900)]}
    deletes = [old] if edit != "another record" else []
    rfc2136.provider.change(zone, [], deletes)
    rfc2136.provider.change(zone, puts.get(edit, []), [])
    with pytest.raises(TailwartError, match="has moved") as refused:
        savedplan.load(path, rfc2136.provider, rfc2136.plane.zones)
    assert "tailwart dns plan --out" in str(refused.value)
    assert knot.values(f"mail.{zone}", "A") == []


def test_what_moves_by_itself_is_no_reason_to_refuse(rfc2136: Bench, tmp_path: Path) -> None:
    path = kept(rfc2136, tmp_path / "plan")
    challenge = record(rfc2136.zone, "_acme-challenge", "TXT", "token", 60)
    rfc2136.provider.change(rfc2136.zone, [challenge], [])  # the serial moves with it
    assert savedplan.load(path, rfc2136.provider, rfc2136.plane.zones)


def test_a_plan_for_other_zones_or_another_provider_is_refused(rfc2136: Bench, tmp_path: Path) -> None:
    path = kept(rfc2136, tmp_path / "plan")
    with pytest.raises(TailwartError, match="for other zones"):
        savedplan.load(path, rfc2136.provider, ("example.org",))
    with pytest.raises(TailwartError, match="for another provider"):
        savedplan.load(path, Memory([]), rfc2136.plane.zones)


@settings(deadline=None, max_examples=60)
@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.text() | st.integers(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_other_file_is_refused_with_its_name(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "no-plan"
    path.write_bytes(content)
    with pytest.raises(TailwartError, match="no saved plan"):
        savedplan.load(path, Memory([]), ("example.org",))


def test_a_plan_with_spoiled_members_is_refused(rfc2136: Bench, tmp_path: Path) -> None:
    path = kept(rfc2136, tmp_path / "plan")
    whole = json.loads(path.read_text())
    for member in ("puts", "deletes", "ours", "plan", "managed"):
        (zone,) = whole["zones"]
        path.write_text(json.dumps({**whole, "zones": [{**zone, member: "text"}]}))
        with pytest.raises(TailwartError, match="no saved plan"):
            savedplan.load(path, rfc2136.provider, rfc2136.plane.zones)


def test_the_digest_depends_on_records_alone() -> None:
    one, two = Record("a", "A", "192.0.2.1"), Record("b", "A", "192.0.2.2")
    assert savedplan.state([one, two]) == savedplan.state([two, one])
    assert savedplan.state([one]) != savedplan.state([one.with_ttl(60)])
