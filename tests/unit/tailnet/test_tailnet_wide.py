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
        (
            grant("group:a", "tag:stalwart", "tcp:8080", srcPosture=["posture:x"]),
            "group:a->tag:stalwart:tcp:8080;posture=posture:x",
        ),
    ],
)
def test_wide_rules_are_found_and_named(text: str, label: str) -> None:
    found = [wide.rule.label for wide in plan(text).wide]
    assert [one.split("~")[0] for one in found] == [label]
    assert not plan(text, *found).unacknowledged


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


HALVES = ["0.0.0.0/1", "128.0.0.0/1"]


@pytest.mark.parametrize(
    ("policy", "label"),
    [
        (
            {"ipsets": {"ipset:all": ["add ipset:v4"], "ipset:v4": ["0.0.0.0/0"]}, "acls": [("*", "ipset:all:*")]},
            "*->ipset:all",
        ),
        ({"hosts": {"n": "100.64.0.0/10"}, "ipsets": {"ipset:n": ["host:n"]}, "acls": [("*", "ipset:n:8080")]}, ""),
        ({"acls": [("*", "100.64.0.0-100.127.255.255:*")]}, "*->100.64.0.0-100.127.255.255"),
        ({"grants": [{"src": ["*"], "dst": HALVES, "ip": ["*"]}]}, "*->0.0.0.0/1+128.0.0.0/1"),
        ({"grants": [{"src": HALVES, "dst": ["tag:mail"], "ip": ["22"]}]}, "0.0.0.0/1+128.0.0.0/1->tag:mail:22"),
        ({"acls": [("*", "0.0.0.0/1:*"), ("*", "128.0.0.0/1:*")]}, "*->0.0.0.0/1"),
        ({"acls": [("*", "100.64.0.0/11:*"), ("*", "100.96.0.0/11:*")]}, "*->100.64.0.0/11"),
        ({"acls": [("*", "tag:stalwart")]}, "*->tag:stalwart"),
        ({"acls": [("*", "*")]}, "*->*"),
        ({"acls": [("*", "[fd7a:115c:a1e0::]/48:*")]}, ""),
        ({"acls": [("*", "fd7a:115c:a1e0::/48")]}, "*->fd7a:115c:a1e0::/48"),
        (
            {"ssh": [{"action": "check", "src": ["group:a"], "dst": ["tag:stalwart"], "users": ["root"]}], "acls": []},
            "ssh:group:a->tag:stalwart",
        ),
        (
            {"ssh": [{"action": "accept", "src": ["*"], "dst": ["tag:reverse-proxy"], "users": ["root"]}], "acls": []},
            "ssh:*->tag:reverse-proxy",
        ),
        ({"nodeAttrs": [{"target": ["*"], "attr": ["funnel"]}], "acls": []}, "funnel->*"),
        ({"nodeAttrs": [{"target": ["tag:mail"], "attr": ["nextdns:x", "funnel"]}], "acls": []}, "funnel->tag:mail"),
        ({"acls": [("group:a", "tag:stalwart:22", {"proto": "tcp"})]}, "group:a->tag:stalwart:22;proto=tcp"),
        (
            {"grants": [{"src": ["group:a"], "dst": ["tag:stalwart"], "ip": ["22"], "via": ["tag:r", "tag:s"]}]},
            "group:a->tag:stalwart:22;via=tag:r|tag:s",
        ),
        (
            {"defaultSrcPosture": ["posture:a"], "acls": [("group:a", "tag:stalwart:22")]},
            "group:a->tag:stalwart:22;posture=posture:a",
        ),
    ],
)
def test_wide_rules_in_every_disguise(policy: dict[str, Any], label: str) -> None:
    found = plan(text_of(policy)).wide
    assert found
    if label:
        assert found[0].rule.label.split("~")[0] == label
    assert not plan(text_of(policy), *(wide.rule.label for wide in found)).unacknowledged


@pytest.mark.parametrize(
    "policy",
    [
        {"hosts": {"nas": "100.64.9.9"}, "acls": [("*", "nas:445"), ("*", "100.64.9.0/24:*")]},
        {"ipsets": {"ipset:net": ["add 0.0.0.0/0", "remove 100.64.0.0/10"]}, "acls": [("*", "ipset:net:*")]},
        {"ipsets": {"ipset:a": ["ipset:b"], "ipset:b": ["ipset:a"]}, "acls": [("*", "ipset:a:*")]},
        {"ssh": [{"action": "check", "src": ["autogroup:member"], "dst": ["autogroup:self"]}], "acls": []},
        {"ssh": [{"action": "accept", "src": ["group:ops"], "dst": ["tag:reverse-proxy"]}], "acls": []},
        {"nodeAttrs": [{"target": ["autogroup:member"], "attr": ["funnel"]}], "acls": []},
        {"nodeAttrs": [{"target": ["*"], "attr": ["mullvad"]}], "acls": []},
        {"acls": [("*", "192.168.0.0/16:*"), ("*", "10.0.0.0-10.255.255.255:*"), ("*", "autogroup:internet:*")]},
    ],
)
def test_rules_that_look_like_it_are_not(policy: dict[str, Any]) -> None:
    assert plan(text_of(policy)).wide == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"groups": {"group:a": ["a@example.com"]}}, {"groups": {"group:a": ["a@example.com", "b@example.com"]}}),
        ({"postures": {"posture:x": ["node:os == 'linux'"]}}, {"postures": {"posture:x": ["node:os != ''"]}}),
        ({}, {"postures": {"posture:x": ["node:os == 'linux'"]}}),
    ],
)
def test_an_acknowledgement_ends_with_the_meaning_of_an_alias(before: dict[str, Any], after: dict[str, Any]) -> None:
    rule = {"grants": [{"src": ["group:a"], "dst": ["tag:stalwart"], "ip": ["*"], "srcPosture": ["posture:x"]}]}
    (wide,) = plan(json.dumps({**before, **rule})).wide
    assert not plan(json.dumps({**before, **rule}), wide.rule.label).unacknowledged
    assert plan(json.dumps({**after, **rule}), wide.rule.label).unacknowledged


def test_an_acknowledgement_ends_with_a_condition() -> None:
    rule = {"src": ["group:a"], "dst": ["tag:stalwart"], "ip": ["*"]}
    for condition in ({"srcPosture": ["posture:x"]}, {"via": ["tag:r"]}):
        (bound,) = plan(json.dumps({"grants": [{**rule, **condition}]})).wide
        assert plan(json.dumps({"grants": [rule]}), bound.rule.label).unacknowledged


def test_the_meaning_of_an_alias_is_shown() -> None:
    text = json.dumps({"groups": {"group:a": ["alice@example.com"]}, **json.loads(acl("group:a", "tag:stalwart:22"))})
    assert "[group:a = alice@example.com]" in plan(text).plan.warnings[0]


def test_a_mark_in_a_section_that_no_merge_writes_hides_nothing() -> None:
    mark = "/* tailwart:example.org/edge-to-mailbox */"
    text = f'{{"acls": [{{{mark} "action": "accept", "src": ["*"], "dst": ["*:*"]}}]}}'
    assert [wide.rule.label for wide in plan(text).wide] == ["*->*"]


def test_a_default_posture_is_said_to_hold_for_the_managed_grants() -> None:
    text = '{"defaultSrcPosture": ["posture:linux"], "acls": []}'
    assert any("defaultSrcPosture (posture:linux)" in line for line in plan(text).plan.warnings)


def text_of(policy: dict[str, Any]) -> str:
    """The policy, with `acls` written as (source, destination[, more])."""
    acls = [
        {"action": "accept", "src": [rule[0]], "dst": [rule[1]], **(rule[2] if len(rule) > 2 else {})}
        for rule in policy.get("acls", [])
    ]
    return json.dumps({**policy, **({"acls": acls} if "acls" in policy else {})})


def test_the_plan_warns_that_a_file_without_any_rule_closes_with_the_first_grant() -> None:
    assert any("neither acls nor grants" in line for line in plan("{}").plan.warnings)
    assert not any("neither" in line for line in plan('{"acls": []}').plan.warnings)
