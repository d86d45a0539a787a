"""Drift on the server is shown and repaired; unmanaged objects survive as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tailwart.network import DEFAULT_SERVICES
from tailwart.plan import render
from tailwart.stalwart.lifecycle import probing
from tailwart.stalwart.protocol.failures import SettingsError
from tailwart.stalwart.protocol.kinds import PostApply
from tests.plans.stalwart.stalwart_host import StalwartHost
from tests.unit.stalwart.sample import edge, names, settings


def _listener(host: StalwartHost, port: int) -> dict[str, Any]:
    (found,) = (item for item in host.objects("NetworkListener") if f"[::]:{port}" in item["bind"])
    return found


def _update(host: StalwartHost, kind: str, identifier: str, **fields: Any) -> None:
    answer = host.call(kind, "set", update={identifier: fields})
    assert identifier in answer.get("updated", {}), answer


def _distrust_smtp(host: StalwartHost) -> None:
    _update(host, "NetworkListener", _listener(host, 25)["id"], overrideProxyTrustedNetworks={})


def _trust_http(host: StalwartHost) -> None:
    trusted = {"100.64.0.0/10": True}
    _update(host, "NetworkListener", _listener(host, 8080)["id"], overrideProxyTrustedNetworks=trusted)


def _trust_globally(host: StalwartHost) -> None:
    _update(host, "SystemSettings", "singleton", proxyTrustedNetworks={"192.0.2.0/24": True})


def _move_route(host: StalwartHost) -> None:
    (route,) = (item for item in host.objects("MtaRoute") if item["name"] == "smarthost")
    _update(host, "MtaRoute", route["id"], address="100.64.0.77")


def _delete_allowed(host: StalwartHost) -> None:
    (entry,) = (item for item in host.objects("AllowedIp") if item["address"] == "203.0.113.7")
    assert host.call("AllowedIp", "set", destroy=[entry["id"]])["destroyed"] == [entry["id"]]


def _back_to_mx(host: StalwartHost) -> None:
    route = {"match": {"0": {"if": "is_local_domain(rcpt_domain)", "then": "'local'"}}, "else": "'mx'"}
    _update(host, "MtaOutboundStrategy", "singleton", route=route)


DRIFTS: tuple[tuple[Callable[[StalwartHost], None], str, PostApply], ...] = (
    (_distrust_smtp, "update NetworkListener 25", PostApply.RESTART),
    (_trust_http, "update NetworkListener 8080", PostApply.RESTART),
    (_trust_globally, "update SystemSettings singleton", PostApply.RESTART),
    (_move_route, "update MtaRoute smarthost", PostApply.RESTART),
    (_back_to_mx, "update MtaOutboundStrategy singleton", PostApply.RESTART),
    (_delete_allowed, "create AllowedIp 203.0.113.7", PostApply.RELOAD),
)


@pytest.fixture
def deployed(host: StalwartHost) -> StalwartHost:
    host.deploy(settings())
    return host


@pytest.mark.parametrize(("drift", "change", "post_apply"), DRIFTS, ids=lambda value: getattr(value, "__name__", ""))
def test_drift_is_shown_and_repaired(
    deployed: StalwartHost, drift: Callable[[StalwartHost], None], change: str, post_apply: PostApply
) -> None:
    drift(deployed)
    observed = deployed.plane(settings()).observe()
    assert names(observed.planned) == {change}
    assert observed.planned.post_apply is post_apply
    assert observed.live is not None
    assert change.rsplit(maxsplit=1)[-1] in render(observed.planned.document(observed.live))
    starts = deployed.starts
    deployed.deploy(settings())
    assert deployed.plane(settings()).observe().up_to_date
    assert deployed.starts - starts == (1 if post_apply is PostApply.RESTART else 0)


UNMANAGED: dict[str, dict[str, Any]] = {
    "NetworkListener": {"name": "lmtp", "bind": {"127.0.0.1:11200": True}, "protocol": "lmtp"},
    "MtaRoute": {"@type": "Relay", "name": "other", "address": "192.0.2.99", "port": 2525, "description": "by hand"},
    "AllowedIp": {"address": "192.0.2.0/24", "reason": "the office"},
    "Domain": {"name": "unmanaged.example.net", "dkimManagement": {"@type": "Manual"}},
}


def test_unmanaged_objects_are_listed_and_survive_as_they_are(deployed: StalwartHost) -> None:
    for kind, document in UNMANAGED.items():
        assert deployed.call(kind, "set", create={"x": document})["created"]
    (domain,) = (item for item in deployed.objects("Domain") if item["name"] == "unmanaged.example.net")
    person = {"@type": "User", "name": "guest", "domainId": domain["id"]}
    assert deployed.call("Account", "set", create={"x": person})["created"]
    before = {kind: deployed.objects(kind) for kind in (*UNMANAGED, "Account")}
    _distrust_smtp(deployed)
    deployed.deploy(settings())
    observed = deployed.plane(settings()).observe()
    assert observed.up_to_date
    assert {"Domain: 1", "Account: 1"} <= set(observed.planned.unmanaged), "counted, not read"
    named = deployed.plane(settings()).observe(everything=True).planned.unmanaged
    assert {
        "NetworkListener 11200",
        "MtaRoute other",
        "AllowedIp 192.0.2.0/24",
        "Domain unmanaged.example.net",
        "Account guest@unmanaged.example.net",
    } <= set(named)
    for kind, objects in before.items():
        after = {item["id"]: _timeless(item) for item in deployed.objects(kind)}
        for item in objects:
            if kind != "NetworkListener" or item["name"] != "smtp":
                assert after[item["id"]] == _timeless(item)


def _timeless(item: dict[str, Any]) -> dict[str, Any]:
    """The zone file names the DKIM keys, which the server makes in its own time."""
    return {name: value for name, value in item.items() if name != "dnsZoneFile"}


def test_a_doubled_listener_is_removed(deployed: StalwartHost) -> None:
    copy = {"name": "smtp-again", "bind": {"[::]:25": True}, "protocol": "smtp"}
    assert deployed.call("NetworkListener", "set", create={"x": copy})["created"]
    observed = deployed.plane(settings()).observe()
    assert names(observed.planned) == {"delete NetworkListener 25"}
    assert observed.live is not None
    assert "a second listener on port 25" in render(observed.planned.document(observed.live))
    deployed.deploy(settings())
    assert [item["name"] for item in deployed.objects("NetworkListener") if "[::]:25" in item["bind"]] == ["smtp"]


def test_a_reload_that_an_unmanaged_object_prevents_names_it_and_is_done_later(deployed: StalwartHost) -> None:
    bad = {
        "@type": "Relay",
        "name": "broken",
        "address": "192.0.2.98",
        "authSecret": {"@type": "EnvironmentVariable", "variableName": "NOT_SET"},
    }
    created = deployed.call("MtaRoute", "set", create={"x": bad})["created"]["x"]["id"]
    moved = settings(edges=[edge("203.0.113.9")])
    with pytest.raises(Exception, match=r"MtaRoute broken") as refused:
        deployed.deploy(moved)
    assert "NOT_SET" in str(refused.value)
    assert not deployed.plane(moved).observe().up_to_date, "the reload is still due"
    deployed.call("MtaRoute", "set", destroy=[created])
    deployed.deploy(moved)
    assert deployed.plane(moved).observe().up_to_date


def test_trust_is_proven_by_asking_the_ports_themselves(deployed: StalwartHost) -> None:
    assert probing.prove_trust(deployed, DEFAULT_SERVICES.public) == ""
    _distrust_smtp(deployed)
    assert probing.prove_trust(deployed, DEFAULT_SERVICES.public) == "", (
        "the running process still trusts: the override counts at its start"
    )
    assert deployed("docker restart stalwart").ok
    probing.wait_until_live(deployed)
    with pytest.raises(SettingsError, match=r"25 read the header as a command"):
        probing.prove_trust(deployed, DEFAULT_SERVICES.public)
    deployed.deploy(settings())
    assert probing.prove_trust(deployed, DEFAULT_SERVICES.public) == ""
