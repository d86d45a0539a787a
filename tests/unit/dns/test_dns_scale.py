"""Large zones: the requests and messages that they need, and work that grows with the zone, not with its square."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tailwart.dns.archive import Archive
from tailwart.dns.authority import MOST_ASKED, Answer, Server, _differences, _sample
from tailwart.dns.ownership import Ledger
from tailwart.dns.restoring import restore
from tailwart.dns.zoneplan import compare
from tailwart.providers._rfc2136_messages import messages
from tailwart.providers._spaceship import Spaceship
from tailwart.providers._spaceship_http import Client
from tailwart.providers.record import Record
from tests.unit.dns.bench import ticking
from tests.unit.dns.fuzzing import DESIRED
from tests.unit.dns.names import KEY_ALGORITHM, KEY_NAME, KEY_SECRET
from tests.unit.dns.recorded import ZONE


def many(number: int) -> list[Record]:
    """Texts and addresses at as many names."""
    texts = [Record(f"t{n}", "TXT", f"note {n} " + "x" * 60) for n in range(number // 2)]
    return [*texts, *(Record(f"a{n}", "A", f"10.{n // 65536}.{n // 256 % 256}.{n % 256}") for n in range(number // 2))]


def calls(work: Callable[[], object]) -> int:
    """How many functions the work calls."""
    profile = cProfile.Profile()
    profile.runcall(work)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]  # not in the stubs


def planned(records: list[Record]) -> object:
    return compare(DESIRED, records, Ledger())


def restored(records: list[Record]) -> object:
    return restore(DESIRED, [], Ledger(), records, ttl=range(2**31), keeps_strings=True)


def served(records: list[Record]) -> object:
    here = Server("ns", "192.0.2.53")
    answers = [Answer(here, entry.rrset, (entry,)) for entry in records]
    return list(_differences(answers, records, records))


def updated(records: list[Record]) -> object:
    from tailwart.providers._rfc2136 import tsig_key  # noqa: PLC0415

    return list(messages(ZONE, {}, records, [], tsig_key(KEY_NAME, KEY_SECRET, KEY_ALGORITHM)))


@pytest.mark.parametrize("work", [planned, restored, served, updated])
def test_the_work_grows_with_the_zone(work: Callable[[list[Record]], object]) -> None:
    work(many(10))  # what is loaded once
    small, large = (calls(partial(work, many(number))) for number in (250, 1000))
    assert large < 5 * small, "four times the records"


class Pages(Client):
    """The API's answers from a list, and what was asked for."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        super().__init__("http://api.test", "key", "secret", lambda _: None)
        self.items, self.asked = items, list[str]()

    def call(
        self, method: str, path: str, *, zone: str, params: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        self.asked.append(method)
        if params is None:
            return None
        return {"items": self.items[params["skip"] :][: params["take"]], "total": len(self.items)}


def test_twenty_thousand_records_are_forty_requests_a_reading(tmp_path: Path) -> None:
    pages = Pages([{"type": "TXT", "name": f"t{n}", "value": f"note {n}", "ttl": 3600} for n in range(20_000)])
    provider = Spaceship(pages, ())
    live = provider.read(ZONE)
    assert len(live) == 20_000
    assert pages.asked == ["GET"] * 40
    plan = compare(DESIRED, live, Ledger())
    provider.change(ZONE, plan.puts, plan.deletes)
    assert pages.asked[40:] == ["PUT"]
    archive = Archive(tmp_path / "dns", ticking())
    archive.save(ZONE, live)
    assert len(archive.load(ZONE).records) == 20_000


def test_five_thousand_records_are_few_messages() -> None:
    records = many(5_000)
    sent = updated(records)
    assert isinstance(sent, list)
    octets = [len(update.to_wire(max_size=65_535)) for update in sent]
    assert sum(octets) / len(octets) > 20_000, "well filled"
    assert max(octets) < 50_000


def test_a_very_large_change_is_asked_for_in_a_sample() -> None:
    rrsets = [entry.rrset for entry in many(20_000)]
    asked = _sample(sorted(rrsets))
    assert MOST_ASKED // 2 < len(asked) <= MOST_ASKED
    assert _sample(rrsets[:MOST_ASKED]) == rrsets[:MOST_ASKED]
