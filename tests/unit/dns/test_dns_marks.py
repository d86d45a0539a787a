"""The mark in the zone: what is ours is known without `_backup`, and two installations keep out of each other's way."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.dns import marks
from tailwart.dns.archive import Archive
from tailwart.dns.ownership import Ledger, recovered
from tailwart.errors import TailwartError
from tailwart.providers.record import APEX, Record, record
from tests.unit.dns.bench import Bench, ticking
from tests.unit.dns.names import Knot
from tests.unit.dns.recorded import zone_text


def forget(directory: Path) -> None:
    """`_backup` is lost."""
    shutil.rmtree(directory / "_backup")


def without(text: str, part: str) -> str:
    return "\n".join(line for line in text.splitlines() if part not in line)


def test_a_record_that_is_no_longer_desired_is_removed_after_a_lost_backup(
    rfc2136: Bench, knot: Knot, tmp_path: Path
) -> None:
    zone = rfc2136.zone
    foreign = record(zone, "shop", "A", "203.0.113.9", 3600)
    rfc2136.provider.change(zone, [foreign, record(zone, APEX, "TXT", "v=spf1 ip4:192.0.2.77 ~all", 3600)], [])
    rfc2136.with_overrides(dns_records={"extra A": "198.51.100.77"}, dns_spf=["include:old.example"]).apply()
    assert knot.values(f"extra.{zone}", "A") == ["198.51.100.77"]
    forget(tmp_path)
    rfc2136.with_text(without(zone_text(zone), "_smtp._tls")).apply()
    assert knot.values(f"extra.{zone}", "A") == []
    assert knot.values(f"_smtp._tls.{zone}", "TXT") == []
    assert knot.values(f"shop.{zone}", "A") == ["203.0.113.9"], "foreign records stay"
    (sender,) = [text for text in knot.texts(zone) if text.startswith("v=spf1")]
    assert "old.example" not in sender, "a term of ours goes"
    assert "ip4:192.0.2.77" in sender, "the owner's term stays"


def test_a_second_run_writes_nothing_and_the_mark_is_one_record(rfc2136: Bench, knot: Knot) -> None:
    rfc2136.apply()
    assert not rfc2136.plan()
    (text,) = knot.texts(f"_tailwart.{rfc2136.zone}")
    assert text.startswith(f"v=tailwart1; owner={rfc2136.zone}; records=")
    assert not rfc2136.with_text(None).plan(), "a mail server that is away changes no mark"


def test_two_installations_in_one_zone_keep_apart(rfc2136: Bench, knot: Knot, tmp_path: Path) -> None:
    zone = rfc2136.zone
    first = rfc2136.with_overrides(dns_owner="first", dns_records={"one A": "198.51.100.1"})
    other = Bench(
        replace(rfc2136.plane, archive=Archive(tmp_path / "other" / "dns", ticking())),
        rfc2136.provider,
        rfc2136.notices,
    ).with_overrides(dns_owner="second", dns_records={"two A": "198.51.100.2"}, dns_exclude=["@ *", "mail *"])
    first.apply()
    other.apply()
    assert len(knot.texts(f"_tailwart.{zone}")) == 2
    forget(tmp_path)
    assert not first.plan()
    assert not other.plan()
    rest = other.with_overrides(dns_owner="second", dns_records={}, dns_exclude=["@ *", "mail *"])
    rest.apply(allow_deletions=True)
    assert knot.values(f"two.{zone}", "A") == []
    assert knot.values(f"one.{zone}", "A") == ["198.51.100.1"]
    with pytest.raises(TailwartError, match="the installation first published it"):
        other.with_overrides(dns_owner="second", dns_spf=["include:second.example"]).plan()


def test_an_owner_who_wants_no_mark_gets_none(rfc2136: Bench, knot: Knot) -> None:
    rfc2136.with_overrides(dns_exclude=["_tailwart TXT"]).apply()
    assert knot.texts(f"_tailwart.{rfc2136.zone}") == []


_KEYS = st.tuples(st.text(max_size=20), st.sampled_from(["A", "TXT"]), st.text(max_size=40))


@settings(deadline=None)
@given(st.frozensets(_KEYS, max_size=40), _KEYS, st.text(max_size=300))
def test_a_mark_says_what_it_was_made_of_and_any_text_is_read(
    keys: frozenset[tuple[str, str, str]], other: tuple[str, str, str], text: str
) -> None:
    made = marks.render("example.org", "example.org", keys, (), 3600)
    mark = marks.parse(made)
    assert mark is not None
    assert all(map(mark.holds, keys))
    assert mark.holds(other) == (other in keys)
    assert marks.parse(Record("_tailwart", "TXT", text)) is None
    assert recovered(Ledger(), [Record("_tailwart", "TXT", f"v=tailwart1; owner=x; records={text}")], "x").spf == {}
