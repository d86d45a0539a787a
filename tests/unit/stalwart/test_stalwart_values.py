"""Values written and read back: equal ones are never written again, different ones always are."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from tailwart.stalwart.accounts.passwords import all_hashed
from tailwart.stalwart.protocol.values import Bag, Ref, at, canonical, encode, merged, references, same, shown
from tailwart.stalwart.settings.fingerprints import Checked, empty, parse

TEXT = st.text(alphabet="abcdefgh@.-", min_size=1, max_size=12)
SCALARS = st.one_of(st.booleans(), st.integers(0, 1 << 40), TEXT)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.frozensets(TEXT, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=4).map(Bag),
        st.dictionaries(TEXT, inner, max_size=4),
    ),
    max_leaves=12,
)


def unresolved(_: Ref) -> str | None:
    return None


@given(VALUES)
def test_what_was_written_is_the_same_when_read_back(value: Any) -> None:
    assert same(value, encode(value, unresolved), unresolved)


@given(st.frozensets(TEXT), st.frozensets(TEXT))
def test_sets_match_exactly(one: frozenset[str], other: frozenset[str]) -> None:
    assert same(one, encode(other, unresolved), unresolved) is (
        {canonical(item) for item in one} == {canonical(item) for item in other}
    )


@given(st.dictionaries(TEXT, SCALARS, min_size=1), st.dictionaries(TEXT, SCALARS))
def test_unmanaged_properties_do_not_count(managed: dict[str, Any], unmanaged: dict[str, Any]) -> None:
    live = {**unmanaged, **managed}
    assert same(managed, live, unresolved)
    assert merged(managed, managed, live) == live


@given(st.lists(st.dictionaries(TEXT, SCALARS, min_size=1), max_size=4), st.randoms())
def test_a_bag_has_no_order(items: list[dict[str, Any]], random: Any) -> None:
    mixed = list(items)
    random.shuffle(mixed)
    assert same(Bag(items), encode(tuple(mixed), unresolved), unresolved)


def test_the_servers_forms_of_a_value_compare_equal() -> None:
    assert same(frozenset({"ops@example.org"}), {"mailto:ops@example.org": True}, unresolved)
    assert same(frozenset({"fd7a:115c:a1e0::/48"}), {"fd7a:115c:a1e0:0:0:0:0:0/48": True}, unresolved)
    assert same("203.0.113.7/32", "203.0.113.7", unresolved)
    assert same(frozenset(), {}, unresolved)
    assert same(frozenset(), None, unresolved)
    assert not same(frozenset({"a"}), {"a": False}, unresolved)
    assert same(None, None, unresolved)
    assert at({"quotas": {"maxDiskQuota": 5}}, "quotas/maxDiskQuota") == 5
    assert at({"quotas": {}}, "quotas/maxDiskQuota") is None


def test_references_are_compared_by_id() -> None:
    domain = Ref("Domain", "example.org")
    assert same(domain, "b", {domain: "b"}.get)
    assert not same(domain, "b", unresolved)
    assert encode({"domainId": domain}, {domain: "b"}.get) == {"domainId": "b"}
    assert references(({"x": frozenset({domain})},)) == {domain}
    assert shown({"acme": domain, "names": frozenset({"b", "a"})}) == {"acme": "example.org", "names": ["a", "b"]}


def test_fingerprints_match_the_last_written_value_only() -> None:
    declared = {"Account/a@example.org": "one of them", "Account/b@example.org": "another one"}
    marks = parse(empty().having(all_hashed(declared), declared).dump())
    assert marks.check(declared) == Checked(frozenset(declared), settled=True)
    changed = {**declared, "Account/b@example.org": "one of them"}
    assert marks.check(changed) == Checked(frozenset({"Account/a@example.org"}), settled=False)
    more = {**declared, "Account/c@example.org": "one of them"}
    assert marks.check(more).unchanged == declared.keys()
    assert marks.having({}, declared, frozenset(declared)).check(declared).settled


def test_what_does_not_change_costs_one_hash_whatever_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = {f"Account/user{number}@example.org": f"password {number}" for number in range(50)}
    marks = parse(empty().having(all_hashed(declared), declared).dump())
    verified: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, mark: str, value: str) -> object:
        verified.append(mark)
        return verify(self, mark, value)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    assert marks.check(declared).settled
    assert len(verified) == 1


def test_the_note_alone_does_not_allow_guessing() -> None:
    declared = {"Account/a@example.org": "one of them"}
    document = json.loads(empty().having(all_hashed(declared), declared).dump())
    assert set(document) == {"written", "whole"}, "no key beside the fingerprints"
    values = [*document["written"].values(), document["whole"]]
    assert all(value.startswith("$argon2id$") for value in values)


def test_a_note_of_an_earlier_release_is_taken_over_without_writing_a_password() -> None:
    declared = {"Account/a@example.org": "one of them", "Account/b@example.org": "another one"}
    key = "00112233445566778899aabbccddeeff"
    old = {
        name: hmac.new(bytes.fromhex(key), f"{name}\0{value}".encode(), hashlib.sha256).hexdigest()
        for name, value in declared.items()
    }
    before = parse(json.dumps({"key": key, "written": {**old, "Account/gone@example.org": "00"}}))
    assert before.check(declared) == Checked(frozenset(declared), settled=False)
    assert before.check({**declared, "Account/b@example.org": "new"}).unchanged == {"Account/a@example.org"}
    after = parse(before.having({}, declared, frozenset(declared)).dump())
    assert not after.key
    assert after.check(declared) == Checked(frozenset(declared), settled=True)


@given(st.text(max_size=200))
def test_a_damaged_file_counts_as_nothing_written(text: str) -> None:
    assert not parse(text).matches("Account/alice@example.org", "secret")
