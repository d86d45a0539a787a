"""Values written and read back: equal ones are never written again, different ones always are."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tailwart.stalwart.protocol.values import Bag, Ref, at, canonical, encode, merged, references, same, shown
from tailwart.stalwart.settings.fingerprints import empty, parse

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


@given(st.dictionaries(TEXT, TEXT, max_size=4), TEXT, TEXT)
def test_fingerprints_match_the_last_written_value_only(values: dict[str, str], name: str, value: str) -> None:
    marks = empty().having({**values, name: value})
    again = parse(marks.dump())
    assert again.matches(name, value)
    assert not again.matches(name, value + "x")
    assert not again.matches(name + "x", value) or values.get(name + "x") == value


@given(st.text(max_size=200))
def test_a_damaged_file_counts_as_nothing_written(text: str) -> None:
    assert not parse(text).matches("Account/alice@example.org", "secret")
