"""Wide rules: reported with their line, acknowledged by their meaning, and no cause of a failing managed test."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tailwart.tailnet.client import PolicyFile
from tailwart.tailnet.push import PolicyPlan, make_plan
from tests.unit.tailnet.policies import DEFAULT_POLICY, DESIRED


def plan(text: str, *acknowledged: str) -> PolicyPlan:
    return make_plan(PolicyFile(text, '"x"'), DESIRED, acknowledged)


def grant(src: str, dst: str, *ports: str, **more: Any) -> str:
    return json.dumps({"grants": [{"src": [src], "dst": [dst], "ip": list(ports or ("*",)), **more}]})


def acl(src: str, dst: str, **more: Any) -> str:
    return json.dumps({"acls": [{"action": "accept", "src": [src], "dst": [dst], **more}]})


def test_the_default_policy_is_reported_with_line_and_how_to_acknowledge() -> None:
    planned = plan(DEFAULT_POLICY)
    (wide,) = planned.wide
    assert wide.rule.line == 10
    assert "line 10 (grants): *->*" in planned.plan.warnings[0]
    assert "TS_ACKNOWLEDGED=*->*" in planned.plan.warnings[0]
    assert planned.unacknowledged


def test_an_acknowledged_rule_is_still_reported_but_no_problem() -> None:
    planned = plan(DEFAULT_POLICY, "*->*")
    assert not planned.unacknowledged
    assert any("acknowledged" in line for line in planned.plan.unmanaged)


def test_deny_tests_that_it_breaks_are_skipped_and_named_accept_tests_stay() -> None:
    planned = plan(DEFAULT_POLICY)
    assert '"deny"' not in planned.text
    assert '"accept": ["tag:stalwart:25"]' in planned.text
    named = [line for line in planned.plan.warnings if "skipped the test" in line]
    assert len(named) == 2
    assert all("line 10" in line for line in named)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (acl("*", "*:*"), "*->*"),
        (acl("autogroup:member", "*:*"), "autogroup:member->*"),
        (acl("group:a", "tag:stalwart:22,8080"), "group:a->tag:stalwart:22|8080"),
        (acl("*", "tag:stalwart:25"), "*->tag:stalwart:25"),
        (acl("tag:reverse-proxy", "tag:mail:587"), "tag:reverse-proxy->tag:mail:587"),
        (acl("tag:stalwart", "tag:reverse-proxy:1-1024"), "tag:stalwart->tag:reverse-proxy:1-1024"),
        (acl("100.64.0.0/10", "100.64.0.0/10:*"), "100.64.0.0/10->100.64.0.0/10"),
        (json.dumps({"ACLs": [{"Action": "accept", "Users": ["*"], "Ports": ["*:*"]}]}), "*->*"),
        (
            json.dumps({"hosts": {"all": "0.0.0.0/0"}, "grants": [{"src": ["x"], "dst": ["all"], "ip": ["443"]}]}),
            "x->all:443",
        ),
        (grant("autogroup:tagged", "autogroup:tagged", "tcp:5432"), "autogroup:tagged->autogroup:tagged:tcp:5432"),
        (grant("group:a", "tag:stalwart", "tcp:8080", srcPosture=["posture:x"]), "group:a->tag:stalwart:tcp:8080"),
    ],
)
def test_wide_rules_are_found_and_named(text: str, label: str) -> None:
    assert [wide.rule.label for wide in plan(text).wide] == [label]
    assert not plan(text, label).unacknowledged


@pytest.mark.parametrize(
    "text",
    [
        acl("group:a", "tag:printer:631"),
        acl("*", "autogroup:internet:*"),
        acl("autogroup:member", "autogroup:self:*"),
        acl("group:ops", "tag:reverse-proxy:22"),
        acl("tag:app", "tag:mail:587"),
        acl("tag:reverse-proxy", "tag:stalwart:25,993"),
        acl("*", "*:*", proto="icmp"),
        grant("*", "*", "udp:53", "icmp:*"),
        grant("*", "tag:stalwart", "udp:*"),
        json.dumps({"grants": [{"src": ["*"], "dst": ["*"], "app": {"example.com/cap": [{}]}}]}),
        json.dumps({"acls": [{"action": "deny", "src": ["*"], "dst": ["*:*"]}, "nonsense", {"src": "*"}]}),
    ],
)
def test_other_owners_business_is_not_reported(text: str) -> None:
    assert plan(text).wide == ()


def test_a_conditional_rule_is_reported_but_breaks_no_test() -> None:
    planned = plan(grant("*", "*", srcPosture=["posture:trusted"]))
    assert planned.wide
    assert '"deny": ["tag:stalwart:8080"]' in planned.text


def test_the_label_does_not_depend_on_the_place_in_the_file() -> None:
    moved = DEFAULT_POLICY.replace('"ssh"', '"hosts": {"h": "100.64.1.1"},\n\t"ssh"').replace(
        "\t// Declare", "\n\n\t//"
    )
    assert not plan(moved, "*->*").unacknowledged


def test_the_plan_warns_that_a_file_without_any_rule_closes_with_the_first_grant() -> None:
    assert any("neither acls nor grants" in line for line in plan("{}").plan.warnings)
    assert not any("neither" in line for line in plan('{"acls": []}').plan.warnings)
