"""Other people's zones, through the fake API, Knot and BIND: nothing of theirs is lost, and all of it comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.providers._spaceship_items import to_item
from tailwart.providers.record import APEX, Record
from tests.unit.dns import bind
from tests.unit.dns.bench import Bench, FakeApi, Settings
from tests.unit.dns.names import ADDRESS, KEY_ALGORITHM, KEY_NAME, KEY_SECRET, Served
from tests.unit.dns.shapes import zones

Few = examples(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
_BIND = "shapes.test"


def exact(records: tuple[Record, ...]) -> set[tuple[object, ...]]:
    return {(*entry.key, entry.ttl, entry.cuts) for entry in records}


def there_and_back(bench: Bench, theirs: list[Record]) -> None:
    """From a zone of theirs to ours, once more without a change, and back."""
    left = [entry for entry in bench.live() if entry.name != "ns" and entry.rrset != (APEX, "NS")]
    bench.provider.change(bench.zone, [], left)
    bench.provider.change(bench.zone, theirs, [])
    before = bench.live()
    assert not {entry.key for entry in theirs} - {entry.key for entry in before}
    try:
        plan = bench.plan(allow_deletions=True)
    except TailwartError as refused:
        assert refused.remedy
        assert exact(bench.live()) == exact(before), "refused, and nothing was written"
        return
    bench.plane.apply([plan], bench.provider, bench.notices.append)
    after = {entry.key for entry in bench.live()}
    touched = {entry.key for entry in plan.deletes}
    assert {entry.key for entry in before} - touched <= after
    for entry in plan.deletes:
        assert any(new.name == entry.name for new in plan.final) or "_domainkey" in entry.name, f"{entry} is empty now"
    assert not bench.plan(allow_deletions=True).plan.changes
    down = bench.with_text(None)
    saved = down.plane.guard(down.plane.restorations(down.provider), allow_deletions=True)
    down.plane.apply(saved.values(), down.provider, bench.notices.append)
    assert exact(bench.live()) == exact(before)


@Few
@given(st.data())
def test_on_knot(rfc2136: Bench, data: st.DataObject) -> None:
    there_and_back(rfc2136, data.draw(zones(rfc2136.zone)))


@Few
@given(st.data())
def test_through_the_fake_api(spaceship: Bench, fake_api: FakeApi, data: st.DataObject) -> None:
    listed = []
    for entry in data.draw(zones(spaceship.zone)):
        with suppress(TailwartError):  # what the API takes no record of, nobody has there
            to_item(entry.with_ttl(min(entry.ttl, 3600)))
            listed.append(entry.with_ttl(min(entry.ttl, 3600)))
    there_and_back(spaceship, listed)
    assert all(request["status"] != 422 for request in fake_api.faults.requests)


class TestBind:
    @pytest.fixture(scope="class")
    def named(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
        with bind.serving(tmp_path_factory.mktemp("bind"), (_BIND,), ()) as running:
            yield running

    @pytest.fixture
    def zone(self) -> str:
        return _BIND

    @pytest.fixture
    def on_bind(self, bench_for: Callable[[Environment], Bench], settings: Settings, named: Served) -> Bench:
        keys = {
            "rfc2136_server": ADDRESS,
            "rfc2136_port": str(named.port),
            "rfc2136_key_name": KEY_NAME,
            "rfc2136_key": KEY_SECRET,
            "rfc2136_algorithm": KEY_ALGORITHM,
        }
        return bench_for(settings(dns_provider="rfc2136", dns_nameservers=named.nameserver, provider_keys=keys))

    @Few
    @given(st.data())
    def test_on_bind(self, on_bind: Bench, data: st.DataObject) -> None:
        there_and_back(on_bind, data.draw(zones(on_bind.zone)))
