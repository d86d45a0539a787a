"""deSEC's REST API through octoDNS, on a fake API that obeys the documented contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.control import server
from tailwart.dns.desired import desire
from tailwart.dns.intent import Intent
from tailwart.dns.overrides import from_data
from tailwart.dns.ownership import Ledger
from tailwart.dns.readback import verify
from tailwart.dns.zoneplan import ZonePlan, compare
from tailwart.errors import TailwartError
from tailwart.providers import definition
from tailwart.providers.definition import Provider
from tailwart.providers.record import APEX, record
from tests.unit.dns import desec_api
from tests.unit.dns.recorded import WITH_CERTIFICATE, ZONE

ACCOUNT = "https://acme-v02.api.letsencrypt.org/acme/acct/1"


def opened(token: str = desec_api.TOKEN) -> Provider:
    """The provider as DNS_PROVIDER=desec makes it."""
    known = definition("desec")
    return known.connect(known.keys.model_validate({"desec_token": token}), lambda _: None)


@dataclass
class Desec:
    """The fake API's zone, and what was written to it."""

    rrsets: dict[desec_api.Key, dict[str, Any]] = field(default_factory=dict)
    writes: list[list[dict[str, Any]]] = field(default_factory=list)

    def plan(self, **changes: Any) -> ZonePlan:
        """The plan for the recorded zone, TLSA and CAA included."""
        intent = Intent(
            ZONE,
            ZONE,
            zone_text=WITH_CERTIFICATE,
            acme_directory="https://acme-v02.api.letsencrypt.org/directory",
            account_uri=ACCOUNT,
            overrides=from_data({"dns_tlsa": True}),
            **changes,
        )
        return compare(desire(intent), opened().read(ZONE), Ledger())

    def apply(self, **changes: Any) -> ZonePlan:
        """Carry the plan out and read back."""
        plan = self.plan(**changes)
        opened().change(ZONE, plan.puts, plan.deletes)
        verify(plan, opened().read(ZONE), Path("no-snapshot"))
        return plan


@pytest.fixture
def desec(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desec]:
    """An account with the zone, and a foreign record set in it."""
    import octodns_desec  # noqa: PLC0415

    zone = Desec()
    stored = {
        "domain": ZONE,
        "type": "OPENPGPKEY",
        "ttl": 3600,
        "subname": "k",
        "name": f"k.{ZONE}.",
        "records": ["AAAA"],
    }
    zone.rrsets["k", "OPENPGPKEY"] = stored
    with server.running(desec_api.create_app(ZONE, zone.rrsets, zone.writes)) as url:
        monkeypatch.setattr(octodns_desec.DesecAPI, "API_DOMAINS_URL", f"{url}/api/v1/domains")
        yield zone


def test_a_zone_is_pushed_in_one_request_and_the_second_run_writes_nothing(desec: Desec) -> None:
    assert len(desec.apply().puts) > 15
    assert len(desec.writes) == 1
    assert desec.rrsets["", "MX"]["records"] == [f"10 mail.{ZONE}."]
    assert f'0 issue "letsencrypt.org; accounturi={ACCOUNT}"' in desec.rrsets["", "CAA"]["records"]
    assert desec.rrsets["_submissions._tcp", "SRV"]["records"] == [f"0 1 465 mail.{ZONE}."]
    (key,) = [each["records"][0] for (name, _), each in desec.rrsets.items() if "rsa" in name and "_domainkey" in name]
    assert key.startswith('"v=DKIM1; k=rsa;')
    assert '" "' in key, "cut at 255 octets"
    assert not desec.plan(), "what is written reads back the same, the parameters of CAA too"
    assert desec.rrsets["k", "OPENPGPKEY"]["records"] == ["AAAA"]


def test_spf_is_replaced_in_its_record_set_and_nothing_else_is_sent(desec: Desec) -> None:
    desec.apply()
    desec.apply(spf_terms=("ip4:192.0.2.9",))
    assert [(item["subname"], item["type"]) for item in desec.writes[-1]] == [("", "TXT")]
    assert desec.rrsets["", "TXT"]["records"] == ['"v=spf1 mx ip4:192.0.2.9 -all"']


def test_an_alias_gives_way_to_addresses_in_one_request(desec: Desec) -> None:
    desec.rrsets["web", "CNAME"] = {"subname": "web", "type": "CNAME", "ttl": 3600, "records": ["x.example."]}
    old, new = record(ZONE, "web", "CNAME", "x.example.", 3600), record(ZONE, "web", "A", "192.0.2.1", 3600)
    opened().change(ZONE, [new], [old])
    assert len(desec.writes) == 1
    assert ("web", "CNAME") not in desec.rrsets
    assert desec.rrsets["web", "A"]["records"] == ["192.0.2.1"]


def test_a_text_that_the_library_would_change_is_refused_before_anything_is_written(desec: Desec) -> None:
    desec.rrsets["", "TXT"] = {"subname": "", "type": "TXT", "ttl": 3600, "records": ['"say \\"hi\\""']}
    spf = record(ZONE, APEX, "TXT", "v=spf1 mx -all", 3600)
    with pytest.raises(TailwartError, match="@ TXT cannot be changed at deSEC; nothing was written") as refused:
        opened().change(ZONE, [record(ZONE, "www", "A", "192.0.2.1", 3600), spf], [])
    assert 'say "hi"' in refused.value.seen
    assert not desec.writes
    (kept,) = [entry for entry in opened().read(ZONE) if entry.type == "TXT"]
    assert kept.value == 'say "hi"'


def test_a_value_that_cannot_be_read_is_never_written_back(desec: Desec) -> None:
    desec.rrsets["x", "TXT"] = {"subname": "x", "type": "TXT", "ttl": 3600, "records": ['"open']}
    with pytest.raises(TailwartError, match="x TXT cannot be changed at deSEC; nothing was written") as refused:
        opened().change(ZONE, [record(ZONE, "x", "TXT", "v=spf1 mx -all", 3600)], [])
    assert "none of a TXT record" in refused.value.seen
    assert not desec.writes


def test_a_refused_token_is_lesson_2_and_names_its_setting(desec: Desec) -> None:
    with pytest.raises(TailwartError) as refused:
        opened("another-token").read(ZONE)
    assert refused.value.lesson == 2
    assert "DESEC_TOKEN" in refused.value.remedy
    assert "another-token" not in str(refused.value)


def test_an_unknown_domain_and_a_refused_ttl_say_what_to_check(desec: Desec) -> None:
    with pytest.raises(TailwartError, match="does not know the zone other"):
        opened().read("other.example")
    with pytest.raises(TailwartError, match="cannot be changed"):
        opened().change(ZONE, [record(ZONE, "a", "A", "192.0.2.1", 60)], [])
    assert not desec.writes
