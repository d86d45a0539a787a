"""One line of `.env` decides which mail services there are; everything else follows from it."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart.dns import overrides, plane
from tailwart.dns.desired import desire
from tailwart.dns.intent import EdgeAddresses, Intent
from tailwart.dns.reachability import Ipv6
from tailwart.dns.source import ServerFacts
from tailwart.edge import plan as edge_plan
from tailwart.environment import Environment
from tailwart.network import DEFAULT_SERVICES, MAIL_SERVICES, Exposure, Services
from tailwart.stalwart.settings.declaration import from_environment
from tailwart.stalwart.settings.desired import desired as desired_objects
from tailwart.tailnet.desired import desired as desired_policy
from tests.unit.dns.recorded import PLAIN, ZONE
from tests.verify import services as verified

SETTINGS = {
    "domain": ZONE,
    "ts_tailnet": "tail1234.ts.net",
    "stalwart_admin_password": "a password of our own",
    "edges": [{"name": "edge-1", "ssh": "root@192.0.2.1", "ipv4": "203.0.113.7"}],
}
choices = st.fixed_dictionaries(
    {service.name: st.sampled_from(list(Exposure)) for service in MAIL_SERVICES if not service.needed}
)


def environment(services: str) -> Environment:
    return Environment.model_validate({**SETTINGS, "mail_services": services})


def listeners(env: Environment) -> dict[str, Any]:
    """Port → the networks whose PROXY header it trusts."""
    objects = desired_objects(from_environment(env))
    return {
        item.key: sorted(item.fields["overrideProxyTrustedNetworks"])
        for item in objects
        if item.kind == "NetworkListener"
    }


def routes(env: Environment) -> set[str]:
    """The mail ports that the edge listens on, from its caddy.json."""
    text = next(file.content for file in edge_plan.of(env, env.edges[0]).files if file.path.endswith("caddy.json"))
    servers = json.loads(text)["apps"]["layer4"]["servers"].values()
    return {address.lstrip(":") for server in servers for address in server["listen"]} - {"443"}


def granted(env: Environment) -> dict[str, list[str]]:
    return {grant.name: grant.as_policy()["ip"] for grant in desired_policy(env).grants}


def srv(env: Environment) -> set[str]:
    """The SRV records to publish."""
    edge = EdgeAddresses("edge-1", IPv4Address("203.0.113.7"))
    intent = Intent(ZONE, ZONE, edges=(edge,), services=env.mail_services, zone_text=PLAIN)
    return {entry.name for entry in desire(intent).records if entry.type == "SRV"}


def test_the_default_is_what_mail_clients_use() -> None:
    env = environment(str(DEFAULT_SERVICES))
    assert set(listeners(env)) == {"25", "465", "587", "143", "993", "443", "8080"}
    assert routes(env) == {"25", "465", "587", "143", "993"}
    assert srv(env) == {"_imaps._tcp", "_submissions._tcp"}


def test_pop3s_and_managesieve_are_one_edit_each() -> None:
    env = environment("smtp,submissions,submission,imap,imaps,pop3s,sieve")
    assert {"995", "4190"} <= set(listeners(env))
    assert {"995", "4190"} <= routes(env)
    assert {"tcp:995", "tcp:4190"} <= set(granted(env)["edge-to-mailbox"])
    assert "_pop3s._tcp" in srv(env)
    assert listeners(env)["995"] == listeners(env)["993"] != []


def test_a_service_that_is_off_is_nowhere() -> None:
    env = environment("smtp,submissions,imaps")
    assert not {"143", "587"} & set(listeners(env))
    assert routes(env) == {"25", "465", "993"}
    assert granted(env)["edge-to-mailbox"] == ["tcp:25", "tcp:465", "tcp:993", "tcp:443"]


def test_a_service_for_the_tailnet_takes_no_proxy_header_and_is_not_advertised() -> None:
    env = environment("smtp,submissions,imaps:tailnet")
    assert listeners(env)["993"] == []
    assert "993" not in routes(env)
    assert "tcp:993" not in granted(env)["edge-to-mailbox"]
    assert granted(env)["tailnet-to-mailbox"] == ["tcp:993"]
    assert srv(env) == {"_submissions._tcp"}
    tests = {test.source: test for test in desired_policy(env).tests}
    assert ("tag:stalwart", 993) in tests["tag:reverse-proxy"].deny


def test_web_records_are_published_only_where_an_edge_serves_them() -> None:
    edge = EdgeAddresses("edge-1", IPv4Address("203.0.113.7"), https=True)
    served = desire(Intent(ZONE, ZONE, edges=(edge,), zone_text=PLAIN, web_mail=True)).records
    silent = desire(Intent(ZONE, ZONE, edges=(edge,), zone_text=PLAIN)).records
    web = {"_jmap._tcp", "_caldavs._tcp", "_carddavs._tcp"}
    assert web <= {entry.name for entry in served}
    assert not web & {entry.name for entry in silent}


def test_a_mail_only_edge_announces_no_policy_that_nobody_can_fetch() -> None:
    edge = EdgeAddresses("edge-1", IPv4Address("203.0.113.7"))
    state = desire(Intent(ZONE, ZONE, edges=(edge,), zone_text=PLAIN))
    names = {entry.name for entry in state.records}
    assert not names & {"_mta-sts", "mta-sts", "autoconfig", "autodiscover", "_ua-auto-config", "ua-auto-config"}
    assert any("not published" in text for text in state.warnings)


@given(choices)
def test_every_choice_means_the_same_everywhere(chosen: dict[str, Exposure]) -> None:
    services = Services({"smtp": Exposure.PUBLIC, **chosen})
    env = environment(str(services))
    assert env.mail_services.public == services.public
    assert env.mail_services.tailnet == services.tailnet
    public = {str(service.port) for service in services.public}
    inside = {str(service.port) for service in services.tailnet}
    assert routes(env) == public
    assert set(listeners(env)) == public | inside | {"443", "8080"}
    # 443 too: what comes through an edge carries the client's address there as well.
    assert {port for port, trusted in listeners(env).items() if trusted} == public | {"443"}
    assert set(granted(env)["edge-to-mailbox"]) == {f"tcp:{port}" for port in public | {"443"}}
    assert granted(env).get("tailnet-to-mailbox", []) == [f"tcp:{service.port}" for service in services.tailnet]
    advertised = {service.srv for service in services.public if service.srv}
    assert srv(env) <= advertised


@given(choices)
def test_the_verification_reads_every_choice_the_same(chosen: dict[str, Exposure]) -> None:
    services = Services({"smtp": Exposure.PUBLIC, **chosen})
    env = environment(str(services))
    assert set(verified.public(env).items()) == {(service.name, service.port) for service in services.public}
    assert set(verified.tailnet(env).items()) == {(service.name, service.port) for service in services.tailnet}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smtp,gopher", "gopher"),
        ("submissions,imaps", "without public smtp"),
        ("smtp:tailnet,imaps", "without public smtp"),
        ("smtp,imaps:everywhere", "imaps:tailnet"),
        ("smtp,imaps:off", "leave it out"),
        ("smtp,imaps:", "imaps:tailnet"),
        ("smtp,imaps,imaps:tailnet", "named twice"),
        ("", "without public smtp"),
    ],
)
def test_a_wrong_list_says_what_is_expected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Services.parse(text)


def test_blanks_and_case_do_not_matter() -> None:
    assert Services.parse(" SMTP , imaps: Tailnet ,") == Services.parse("smtp,imaps:tailnet")


def several(**second: object) -> Environment:
    """Two edges; the second with keys of its own."""
    edges = [
        {"name": "edge-1", "ssh": "root@192.0.2.1", "ipv4": "203.0.113.7"},
        {"name": "edge-2", "ssh": "root@192.0.2.2", "ipv4": "203.0.113.8", **second},
    ]
    return Environment.model_validate({**SETTINGS, "edges": edges})


def zone_of(env: Environment) -> dict[str, list[str]]:
    """The MX and address records to publish, by type and name."""
    intent = plane.intent(env, overrides.none(), ZONE, ServerFacts(), Ipv6(publish=False))
    found: dict[str, list[str]] = {}
    for entry in desire(intent).records:
        if entry.type in {"MX", "A"}:
            found.setdefault(f"{entry.type} {entry.name}", []).append(entry.value)
    return found


def exchangers_of(env: Environment) -> object:
    """What the server is told of its MX hosts, which its MTA-STS policy names."""
    objects = desired_objects(from_environment(env))
    return next(item.fields for item in objects if item.kind == "SystemSettings").get("mailExchangers")


def test_equal_edges_share_one_name() -> None:
    zone = zone_of(several())
    assert zone["MX @"] == [f"10 mail.{ZONE}."]
    assert zone["A mail"] == ["203.0.113.7", "203.0.113.8"]
    assert "A edge-2" not in zone
    assert exchangers_of(several()) is None, "what the server has is left alone"


def test_edges_in_an_order_have_names_of_their_own() -> None:
    env = several(mx="20")
    zone = zone_of(env)
    assert zone["MX @"] == [f"10 edge-1.{ZONE}.", f"20 edge-2.{ZONE}."]
    assert (zone["A edge-1"], zone["A edge-2"]) == (["203.0.113.7"], ["203.0.113.8"])
    assert zone["A mail"] == ["203.0.113.7", "203.0.113.8"]
    assert exchangers_of(env) == (
        {"hostname": f"edge-1.{ZONE}", "priority": 10},
        {"hostname": f"edge-2.{ZONE}", "priority": 20},
    )


def test_an_edge_for_mail_from_servers_alone_is_no_address_for_mail_programs() -> None:
    zone = zone_of(several(services="smtp"))
    assert zone["A mail"] == ["203.0.113.7"]
    assert zone["MX @"] == [f"10 edge-1.{ZONE}.", f"10 edge-2.{ZONE}."]


def test_an_edge_for_mail_programs_alone_is_no_mx() -> None:
    env = several(services="submissions,submission,imap,imaps")
    zone = zone_of(env)
    assert zone["MX @"] == [f"10 edge-1.{ZONE}."]
    assert zone["A mail"] == ["203.0.113.7", "203.0.113.8"]
    assert edge_plan.of(env, env.edges[1]).routes.ports == (465, 587, 143, 993, 443)


def test_the_same_preference_everywhere_is_one_name_again() -> None:
    env = several(mx="10")
    assert exchangers_of(env) == ({"hostname": f"mail.{ZONE}", "priority": 10},)
    assert zone_of(env)["MX @"] == [f"10 mail.{ZONE}."]
