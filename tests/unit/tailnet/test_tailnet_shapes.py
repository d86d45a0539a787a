"""Policy files of many shapes against a real policy server (headscale behind the API's contract)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.tailnet.client import PolicyClient, PolicyFile
from tailwart.tailnet.desired import desired
from tailwart.tailnet.merge import merge
from tailwart.tailnet.push import Push, make_plan
from tailwart.tailnet.requesting import Credentials
from tests.unit.fake_policy.conftest import API_KEY, Api, api, headscale
from tests.unit.tailnet.policies import DESIRED, NOTHING, without
from tests.unit.tailnet.shapes import SHAPES

__all__ = ["api", "headscale"]


@pytest.fixture
def push(api: Api, tmp_path: Path) -> Iterator[Push]:
    """A push to the server, whatever file it holds."""
    client = PolicyClient(api.url, Credentials(api_key=API_KEY))
    yield Push(client, DESIRED, backup=tmp_path / "_backup" / "tailnet")


@pytest.mark.parametrize("shape", SHAPES)
def test_the_merge_keeps_the_rest_and_the_server_takes_it(api: Api, push: Push, shape: str) -> None:
    text = SHAPES[shape]
    assert api.push(text).ok
    planned = push.apply()
    live = push.client.read()
    assert live.text == planned.text
    assert merge(live.text, NOTHING).text == text
    assert not push.prepare()


def test_there_are_at_least_thirty_shapes_and_one_of_500_kb() -> None:
    assert len(SHAPES) >= 30
    assert max(len(text.encode()) for text in SHAPES.values()) > 500_000


def test_drift_is_repaired_and_its_lesson_named(api: Api, push: Push) -> None:
    api.push(SHAPES["comments everywhere"])
    push.apply()
    whole = push.client.read().text
    api.push(without(without(whole, "mailbox-to-smarthost"), "from-stalwart"))
    (*_, grant) = [change for change in push.prepare().plan.changes if change.kind == "grant"]
    assert (grant.name, grant.why) == ("mailbox-to-smarthost", "lesson 11")
    push.apply()
    assert not push.prepare()


def test_the_server_s_tests_see_what_no_text_shows(api: Api, push: Push) -> None:
    """An alias for some addresses: only the server knows whether a managed node has one of them."""
    api.push('{"hosts": {"any": "100.127.0.0/16"}, "acls": [{"action": "accept", "src": ["*"], "dst": ["any:8080"]}]}')
    planned = push.apply()
    assert any("skipped" in warning and "says the server" in warning for warning in planned.plan.warnings)
    assert "tag:stalwart:8080" not in push.client.read().text
    assert not push.prepare()


@pytest.mark.parametrize("source", ["autogroup:member", "tag:laptop", "*"])
def test_the_server_takes_services_for_the_tailnet_from_any_source(api: Api, push: Push, source: str) -> None:
    assert api.push('{"tagOwners": {"tag:laptop": ["autogroup:admin"]}, "acls": []}').ok
    settings = {"ts_tailnet": "tail1234.ts.net", "mail_services": "smtp,imaps:tailnet", "ts_mail_src": source}
    environment = Environment.model_validate({"domain": "example.org", **settings})
    push = replace(push, desired=desired(environment))
    push.apply()
    policy = push.client.read().text
    assert f'"src": ["{source}"], "dst": ["tag:stalwart"], "ip": ["tcp:993"]' in policy
    assert ('"accept": ["tag:stalwart:993"]' in policy) is (source == "tag:laptop")
    assert push.client.validate(policy)
    assert not push.prepare()


def test_an_unmanaged_test_that_fails_is_named_and_nothing_is_written(api: Api, push: Push) -> None:
    before = '{"acls": [], "tagOwners": {"tag:mail": ["autogroup:admin"], "tag:stalwart": ["autogroup:admin"]},'
    before += '\n"tests": [{"src": "tag:stalwart", "deny": ["tag:mail:587"]}]}'
    assert api.push(before).ok
    with pytest.raises(TailwartError, match="tag:mail:587"):
        push.apply()
    assert push.client.read().text == before


def test_how_long_a_plan_takes() -> None:
    """Printed, not asserted: the aim is half a second."""
    for shape in ("1,000 rules", "500 KB"):
        start = time.perf_counter()
        planned = make_plan(PolicyFile(SHAPES[shape], '"x"'), DESIRED)
        assert planned.diff
        print(f"{shape}: {len(SHAPES[shape].encode())} bytes planned in {time.perf_counter() - start:.2f} s")
