"""Policies that a tailnet accepts and headscale alone does not; headscale still makes the decision."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.control.policy import hujson
from tests.unit.fake_policy.conftest import Api

TAGS = {"tagOwners": {"tag:a": ["autogroup:admin"], "tag:b": ["tag:a"]}}
A_TO_B = {"src": ["tag:a"], "dst": ["tag:b"], "ip": ["tcp:25"]}


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"derpMap": {"OmitDefaultRegions": True}, "disableIPv4": True, "randomizeClientPort": True},
        {
            "postures": {"posture:x": ["node:os == 'linux'"]},
            **TAGS,
            "grants": [{**A_TO_B, "srcPosture": ["posture:x"]}],
        },
        {"acls": [{"action": "accept", "users": ["*"], "ports": ["*:*"]}]},
        {"acls": [{"action": "accept", "src": ["autogroup:members"], "dst": ["autogroup:self:*"]}]},
        {"grants": [{"src": ["autogroup:admin"], "dst": ["*"], "ip": ["*"]}]},
        {"nodeAttrs": [{"target": ["autogroup:member"], "attr": ["funnel"]}]},
        {**TAGS, "autoApprovers": {"routes": {"10.0.0.0/8": ["autogroup:admin", "tag:a"]}, "exitNode": ["tag:b"]}},
        {"hosts": {"h": "100.64.9.9"}, "acls": [{"action": "accept", "src": ["h"], "dst": ["h:22"]}]},
        {
            "groups": {"group:g": ["alice@example.com", "bob@example.com"]},
            "acls": [{"action": "accept", "src": ["group:g"], "dst": ["*:443"]}],
            "tests": [{"src": "alice@example.com", "accept": ["1.2.3.4:443"], "deny": ["1.2.3.4:80"]}],
        },
        {
            "ssh": [
                {
                    "action": "check",
                    "src": ["autogroup:member"],
                    "dst": ["autogroup:self"],
                    "users": ["autogroup:nonroot", "root"],
                }
            ]
        },
    ],
    ids=lambda policy: "+".join(policy) or "empty",
)
def test_shapes_that_a_tailnet_accepts(api: Api, policy: dict[str, Any]) -> None:
    text = json.dumps(policy)
    answer = api.push(text)
    assert answer.status_code == 200, answer.text
    assert api.read().text == text


@pytest.mark.parametrize("text", ["{}\r\n// é 邮件\r\n", '{"groups": {/**/},}', "// only a comment\n{}"])
def test_bytes_that_must_survive(api: Api, text: str) -> None:
    assert api.push(text).status_code == 200
    assert api.read().content == text.encode()


def test_a_large_policy(api: Api) -> None:
    lines = "\n".join(
        f'{{"src": ["100.64.{n // 250}.{n % 250}"], "dst": ["tag:b"], "ip": ["tcp:25"]}}, // {"x" * 400}'
        for n in range(1000)
    )
    text = f'{{"tagOwners": {{"tag:b": ["owner@"]}}, "grants": [\n{lines}\n]}}'
    assert api.push(text).status_code == 200
    assert api.read().text == text


class TestTestsWithoutNodes:
    """No node is registered: headscale alone refuses every one of these tests."""

    @staticmethod
    def verdict(api: Api, policy: dict[str, Any]) -> list[dict[str, Any]]:
        answer = api.validate(json.dumps(policy))
        assert answer.status_code == 200
        return list(answer.json().get("data", []))

    @pytest.mark.parametrize("source", ["tag:a", "carol@example.com", "group:g", "autogroup:tagged"])
    def test_a_granted_port_passes_and_another_does_not(self, api: Api, source: str) -> None:
        base = {
            "tagOwners": {"tag:a": ["autogroup:admin"], "tag:b": ["autogroup:admin"]},
            "groups": {"group:g": ["carol@example.com", "dave@example.com"]},
            "grants": [{"src": [source], "dst": ["tag:b"], "ip": ["tcp:25"]}],
        }
        tested = "tag:a" if source == "autogroup:tagged" else source
        good = [{"src": tested, "accept": ["tag:b:25"], "deny": ["tag:b:5432", "tag:a:25"]}]
        assert self.verdict(api, {**base, "tests": good}) == []
        bad = [{"src": tested, "accept": ["tag:b:5432"]}]
        assert self.verdict(api, {**base, "tests": bad}) != []

    def test_a_wide_rule_breaks_a_deny_test(self, api: Api) -> None:
        wide = {"grants": [A_TO_B, {"src": ["*"], "dst": ["*"], "ip": ["*"]}]}
        failed = self.verdict(api, {**TAGS, **wide, "tests": [{"src": "tag:a", "deny": ["tag:b:22"]}]})
        assert failed == [{"user": "tag:a", "errors": ['address "tag:b:22": want: Drop, got: Accept']}]

    def test_a_legacy_acl_decides_as_a_grant_does(self, api: Api) -> None:
        acls = {"acls": [{"action": "accept", "src": ["tag:a"], "dst": ["tag:b:25,143"]}]}
        tests = [{"src": "tag:a", "accept": ["tag:b:143"], "deny": ["tag:b:993"]}]
        assert self.verdict(api, {**TAGS, **acls, "tests": tests}) == []

    def test_an_unknown_source_is_refused(self, api: Api) -> None:
        assert self.verdict(api, {**TAGS, "tests": [{"src": "tag:nobody", "accept": ["tag:b:25"]}]}) != []


def test_hujson_reports_where_it_stopped() -> None:
    with pytest.raises(hujson.SyntaxProblem, match="line 3, column 2"):
        hujson.parse('{ // a, b\n"x": 1, /* } */\n !}')
    assert hujson.parse('{"a": "// no, comment ,}", "b": [1, 2,],}') == {"a": "// no, comment ,}", "b": [1, 2]}
