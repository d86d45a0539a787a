"""Which release is newer, and which advisory concerns one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart.supply.versions import concerning, newest, number

TAGS = ["latest", "v0.16", "v0.16.7", "v0.16.18", "v0.16.9", "v0.17.0", "v1.0.0-rc1", "v1.0.0", "edge"]
NUMBERS = st.tuples(*[st.integers(0, 99)] * 3)


def test_the_newest_release_is_found_by_number() -> None:
    assert newest("v0.16.7", TAGS) == "v1.0.0"
    assert newest("v0.16.7", TAGS, same_minor=True) == "v0.16.18"
    assert newest("v1.0.0", TAGS) == ""
    assert newest("trixie-slim", TAGS) == ""


@given(st.lists(NUMBERS, max_size=20), NUMBERS)
def test_what_is_found_is_later_and_nothing_is_later_than_it(
    versions: list[tuple[int, ...]], now: tuple[int, ...]
) -> None:
    found = number(newest("{}.{}.{}".format(*now), ["v{}.{}.{}".format(*one) for one in versions]))
    assert found == max((one for one in versions if one > now), default=None)


def advisory(affected: str, fixed: str, severity: str = "high", name: str = "GHSA-1") -> dict[str, Any]:
    flaw = {"vulnerable_version_range": affected, "patched_versions": fixed}
    return {"ghsa_id": name, "severity": severity, "summary": "A flaw", "vulnerabilities": [flaw]}


@pytest.mark.parametrize(
    ("affected", "fixed", "concerns"),
    [
        ("< 2.11.3", "2.11.3", True),
        (">= 2.7.0, < 2.11.3", "v2.11.3", True),
        ("<= 2.11.2", "2.11.3", True),
        ("= 2.11.2", "2.11.3", True),
        ("< 2.10.0", "2.10.0", False),
        (">= 2.11.3", "2.11.4", False),
        # A range that nobody can read counts, as long as a later release has a fix.
        ("all before the fix", ">= 2.11.3", True),
        ("< 2.11.3", "", False),
    ],
)
def test_an_advisory_concerns_a_version_in_its_range_that_has_a_fix(affected: str, fixed: str, concerns: bool) -> None:
    assert bool(concerning("v2.11.2", [advisory(affected, fixed)])) is concerns


def test_the_worst_comes_first_and_odd_documents_do_no_harm() -> None:
    found = concerning(
        "v2.11.2",
        [
            advisory("< 3.0.0", "3.0.0", "low", "GHSA-2"),
            advisory("< 3.0.0", "3.0.0", "critical", "GHSA-3"),
            {"ghsa_id": None, "vulnerabilities": None},
            {"vulnerabilities": [{}]},
        ],
    )
    assert [one.identifier for one in found] == ["GHSA-3", "GHSA-2"]
    assert found[0].fixed == "v3.0.0"
