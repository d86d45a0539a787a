"""What is missing on an edge host, by its facts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tailwart.edge import listeners, resolver
from tailwart.edge.caddy_config import EdgeRoutes, render
from tailwart.edge.plan import drift, in_the_way, of
from tailwart.environment import Environment
from tailwart.hosts import units
from tailwart.hosts.report import Probe
from tests.unit.edge.host_report import PLAN, EdgeHost, changed, listening, up_to_date
from tests.unit.operations.systemctl import shown


def test_nothing_is_missing_where_all_is_up_to_date() -> None:
    assert drift(PLAN, up_to_date().report()) == []
    assert in_the_way(PLAN, up_to_date().report()) == ()


def test_a_bare_host_lacks_everything() -> None:
    reasons = drift(PLAN, EdgeHost().report())
    assert "/opt/tailwart/edge/caddy.json changes" in reasons
    assert "there is no container engine" in reasons


def test_a_run_killed_between_writing_and_loading_is_noticed_by_asking_caddy() -> None:
    older = render(EdgeRoutes("old.tail1234.ts.net", ("example.org",)))
    assert drift(PLAN, replace(up_to_date(), running=older).report()) == ["Caddy runs with an older configuration"]


def test_a_configuration_in_another_order_or_layout_is_the_same() -> None:
    document = json.loads(render(PLAN.routes))
    other = json.dumps(dict(reversed(document.items())), indent=7)
    assert drift(PLAN, replace(up_to_date(), running=other).report()) == []


def test_a_file_changed_by_hand_is_put_right() -> None:
    assert drift(PLAN, changed(up_to_date(), "caddy.json", "{}").report()) == ["/opt/tailwart/edge/caddy.json changes"]


def test_an_unhealthy_container_is_brought_up() -> None:
    assert "edge is unhealthy" in drift(PLAN, replace(up_to_date(), health="unhealthy").report())


def test_a_missing_digest_is_recorded() -> None:
    reasons = drift(PLAN, replace(up_to_date(), digest=False).report())
    assert reasons == ["/opt/tailwart/edge/caddy.sha256 is missing"]


def test_another_pin_or_plugin_is_another_image() -> None:
    references = {
        replace(PLAN, inputs=inputs).reference
        for inputs in (
            PLAN.inputs,
            replace(PLAN.inputs, sha256="0" * 64),
            replace(PLAN.inputs, plugins=("github.com/caddy-dns/spaceship",)),
            replace(PLAN.inputs, base_image="debian:bookworm-slim"),
        )
    }
    assert len(references) == 4


def test_ipv6_must_listen_only_where_the_host_has_a_public_address() -> None:
    only_ipv4 = listening(*PLAN.routes.ports).replace(" *:", " 0.0.0.0:")
    report = replace(up_to_date(), listeners=only_ipv4).report()
    assert "25/IPv6 does not listen" in drift(PLAN, report)
    assert drift(replace(PLAN, ipv6=False), report) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('LISTEN 0 20 127.0.0.1:25 0.0.0.0:* users:(("exim4",pid=812,fd=3))', "systemctl disable --now exim4"),
        ('LISTEN 0 100 [::1]:587 [::]:* users:(("master",pid=9,fd=3))', "systemctl disable --now postfix"),
        ("LISTEN 0 5 *:993 *:*", "an unknown process"),
    ],
)
def test_another_program_on_the_edges_ports_is_named_with_the_remedy(line: str, message: str) -> None:
    taken = in_the_way(PLAN, replace(up_to_date(), listeners=f"{up_to_date().listeners}\n{line}").report())
    assert len(taken) == 1
    assert message in str(listeners.refusal(taken))


def test_only_what_a_mail_program_of_debian_holds_may_be_disabled() -> None:
    exim, other = listeners.Listener("127.0.0.1", 25, "exim4", 812), listeners.Listener("*", 465, "nc", 9)
    assert listeners.services((exim, exim)) == ("exim4",)
    assert listeners.services((exim, other)) == ()
    assert "EDGE_DISABLE=exim4" in str(listeners.refusal((exim,)))


def test_a_web_server_on_443_is_told_both_ways_out() -> None:
    text = str(listeners.refusal((listeners.Listener("*", 443, "nginx", 812),), "EDGE_1_HTTPS"))
    assert "EDGE_1_HTTPS=false" in text
    assert "_WEB=" in text


def test_another_caddy_on_443_is_in_the_way_of_an_edge_that_shares_it() -> None:
    plan = replace(PLAN, routes=replace(PLAN.routes, web=True))
    host = replace(up_to_date(), listeners=f"{up_to_date().listeners}\n{listening(443, pid=99)}")
    assert [item.pid for item in in_the_way(plan, host.report())] == [99]
    alone = replace(PLAN, routes=replace(PLAN.routes, https=False))
    assert in_the_way(alone, host.report()) == (), "an edge that is told so leaves :443 to whoever has it"


def test_lines_that_ss_prints_in_another_shape_are_skipped() -> None:
    assert listeners.parse(["", "State Recv-Q", "LISTEN 0 5 *:x *:*", "ESTAB 0 0 1.2.3.4:25 5.6.7.8:9"]) == ()


@pytest.mark.parametrize(
    ("starter", "code"),
    [({"ActiveState": "inactive"}, 0), ({"UnitFileState": "disabled"}, 0), ({}, 1)],
)
def test_the_resolver_is_up_to_date_only_when_followed_and_the_same(starter: dict[str, str], code: int) -> None:
    report = up_to_date().report()
    assert units.drift(resolver.UNIT, report) == []
    name = f"unit {resolver.UNIT.name}"
    other = {**report.probes, name: Probe(code, shown(resolver.UNIT, starter).encode())}
    assert units.drift(resolver.UNIT, replace(report, probes=other))
    assert units.drift(resolver.UNIT, replace(report, probes={}))


def test_settings_become_a_plan() -> None:
    environment = Environment.model_validate(
        {
            "domain": "example.org",
            "extra_domains": ("example.net",),
            "ts_tailnet": "tail1234.ts.net",
            "caddy_plugins": ("github.com/mholt/caddy-l4@v0.1.2", "example.org/x@v1.0.0"),
            "jmap_vhost": True,
            "edges": [
                {"name": "a", "ssh": "root@192.0.2.1", "ipv6": "2001:db8::1", "web": "/etc/caddy/Caddyfile"},
                {"name": "b", "ssh": "root@192.0.2.2"},
                {"name": "c", "ssh": "root@192.0.2.3", "https": "false", "services": "smtp"},
            ],
        }
    )
    shared, mail_only, one_port = (of(environment, edge) for edge in environment.edges)
    assert shared.routes.ports == (25, 465, 587, 143, 993, 443)
    assert (shared.caddyfile, shared.routes.vhost, shared.ipv6) == ("/etc/caddy/Caddyfile", "mail.example.org", True)
    assert shared.inputs.modules == ("github.com/mholt/caddy-l4@v0.1.2", "example.org/x@v1.0.0")
    assert mail_only.routes.ports == (25, 465, 587, 143, 993, 443)
    assert one_port.routes.ports == (25,)
    assert (mail_only.caddyfile, mail_only.ipv6) == ("", False)
