"""Our records leave a zone, and whatever others have in it stays: a property over random zones."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.dns import marks
from tailwart.dns.desired import desire
from tailwart.dns.intent import Intent
from tailwart.dns.ownership import Ledger
from tailwart.dns.zoneplan import compare
from tailwart.providers.record import Record
from tailwart.removal.zone import removal
from tests.unit.dns.test_dns_ownership import foreign, intents


@settings(deadline=None, max_examples=80)
@given(st.lists(foreign(), max_size=8), intents(), st.booleans())
def test_only_what_was_published_from_here_goes(others: list[Record], wish: Intent, ledger_lost: bool) -> None:
    published = compare(desire(wish), others, Ledger())
    live = published.final
    # Without the file on this machine, the mark in the zone says what is ours.
    ledger = Ledger() if ledger_lost else published.ours
    plan = removal(desire(wish), live, ledger)
    assert plan.puts == ()
    left = Counter(plan.final)
    assert not any(entry.key in published.ours.records for entry in plan.final if not entry.locked) or wish.owner == ""
    assert not any((mark := marks.parse(entry)) and mark.owner == wish.owner for entry in plan.final)
    missing = (
        Counter(entry for entry in live if entry.key not in published.ours.records and not marks.parse(entry)) - left
    )
    assert not missing, "a record of others went"
