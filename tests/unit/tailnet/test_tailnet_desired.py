"""The desired policy entries of an installation, by its settings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.tailnet.desired import Desired, desired
from tailwart.tailnet.merge import merge

FULL = {
    "domain": "example.org",
    "ts_tailnet": "tail1234.ts.net",
    "stalwart_store": "postgres",
    "stalwart_db_host": "postgres.tail1234.ts.net",
    "redis_url": "redis://redis.tail1234.ts.net:6379/3",
    "s3_endpoint": "http://garage.tail1234.ts.net:3900",
    "smarthost_address": "100.64.0.10",
}


def desired_for(**settings: Any) -> Desired:
    return desired(Environment.model_validate({**FULL, **settings}))


def grants(state: Desired) -> dict[str, dict[str, Any]]:
    return {grant.name: grant.as_policy() for grant in state.grants}


def test_the_reference_installation_s_grants() -> None:
    mail = [f"tcp:{port}" for port in (25, 465, 587, 143, 993, 443)]
    assert grants(desired_for()) == {
        "edge-to-mailbox": {"src": ["tag:reverse-proxy"], "dst": ["tag:stalwart"], "ip": mail},
        "mailbox-to-postgres": {"src": ["tag:stalwart"], "dst": ["tag:postgres"], "ip": ["tcp:5432"]},
        "mailbox-to-redis": {"src": ["tag:stalwart"], "dst": ["tag:redis"], "ip": ["tcp:6379"]},
        "mailbox-to-s3": {"src": ["tag:stalwart"], "dst": ["tag:garage"], "ip": ["tcp:3900"]},
        "mailbox-to-smarthost": {"src": ["tag:stalwart"], "dst": ["tag:mail"], "ip": ["tcp:587"]},
    }


def test_every_tag_in_use_has_its_owners() -> None:
    state = desired_for(tag_owners="group:ops,autogroup:admin")
    tags = {"tag:reverse-proxy", "tag:stalwart", "tag:postgres", "tag:redis", "tag:garage", "tag:mail"}
    assert state.tag_owners == dict.fromkeys(tags, ("group:ops", "autogroup:admin"))


@pytest.mark.parametrize("jmap_vhost", ["false", "true"])
def test_administration_is_closed_to_the_edge(jmap_vhost: str) -> None:
    state = desired_for(jmap_vhost=jmap_vhost)
    assert "tcp:8080" not in grants(state)["edge-to-mailbox"]["ip"]
    closed = {test.source: test.deny for test in state.tests}
    assert ("tag:stalwart", 8080) in closed["tag:reverse-proxy"]


def test_a_mailbox_without_backends_needs_no_grants_to_them() -> None:
    names = {"stalwart_store": "rocksdb", "redis_url": None, "s3_endpoint": None, "smarthost_address": None}
    assert list(grants(desired_for(**names))) == ["edge-to-mailbox"]


def test_administration_is_granted_when_it_is_set() -> None:
    found = grants(desired_for(ts_admin_src="group:admins"))["administration"]
    assert found == {"src": ["group:admins"], "dst": ["tag:stalwart"], "ip": ["tcp:8080"]}


def test_the_status_page_is_granted_with_administration_and_closed_to_the_edges() -> None:
    state = desired_for(ts_admin_src="group:admins", status_page="on")
    assert grants(state)["administration"]["ip"] == ["tcp:8080", "tcp:8090"]
    assert ("tag:stalwart", 8090) in {test.source: test.deny for test in state.tests}["tag:reverse-proxy"]
    assert "tcp:8090" not in str(grants(desired_for(ts_admin_src="group:admins")))


def test_ports_follow_the_settings() -> None:
    state = desired_for(stalwart_db_port="6432", smarthost_port="465", s3_endpoint="https://s3.tail1234.ts.net:443")
    found = grants(state)
    assert [found[f"mailbox-to-{name}"]["ip"] for name in ("postgres", "s3", "smarthost")] == [
        ["tcp:6432"],
        ["tcp:443"],
        ["tcp:465"],
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"jmap_vhost": "true"},
        {"tag_postgres": "tag:store", "tag_redis": "tag:store", "tag_s3": "tag:store"},
        {"tag_mail": "tag:reverse-proxy"},
        {"stalwart_store": "rocksdb", "redis_url": None, "s3_endpoint": None},
        {"mail_services": "smtp,imaps:tailnet", "ts_mail_src": "tag:laptop,tag:postgres", "ts_admin_src": "tag:desk"},
        {"status_page": "on", "ts_admin_src": "tag:desk"},
        {"mail_services": "smtp,imaps:tailnet", "ts_mail_src": "tag:reverse-proxy"},
    ],
)
def test_every_grant_is_tested_and_no_test_contradicts_a_grant(settings: dict[str, Any]) -> None:
    state = desired_for(**settings)
    accepted = {(test.source, *way) for test in state.tests for way in test.accept}
    denied = {(test.source, *way) for test in state.tests for way in test.deny}
    granted = {(source, grant.tag, port) for grant in state.grants for source in grant.sources for port in grant.ports}
    assert accepted == granted
    assert denied
    assert not denied & granted
    assert len({test.name for test in state.tests}) == len(state.tests)


@pytest.mark.parametrize("source", ["autogroup:member", "group:staff", "alice@example.org", "*"])
def test_sources_other_than_tags_are_granted_and_never_a_test_s_source(source: str) -> None:
    state = desired_for(mail_services="smtp,imaps:tailnet,sieve:tailnet", ts_mail_src=source)
    assert grants(state)["tailnet-to-mailbox"] == {
        "src": [source],
        "dst": ["tag:stalwart"],
        "ip": ["tcp:993", "tcp:4190"],
    }
    assert all(test.source.startswith("tag:") for test in state.tests)


def test_a_tag_may_have_owners_of_its_own() -> None:
    state = desired_for(tag_owners="autogroup:admin,tag:mail=group:postmasters,tag:mail=alice@example.org")
    assert state.tag_owners["tag:mail"] == ("group:postmasters", "alice@example.org")
    assert state.tag_owners["tag:stalwart"] == ("autogroup:admin",)
    assert [tag for tag in state.tag_owners if state.owns(tag)] == ["tag:reverse-proxy", "tag:stalwart", "tag:mail"]


@pytest.mark.parametrize(
    ("owners", "tag", "accepted"),
    [
        ("autogroup:admin", "tag:mail", ["group:ops"]),
        ("autogroup:admin", "tag:mail", []),
        ("autogroup:admin", "tag:mail", None),
        ("autogroup:admin", "tag:postgres", ["group:dba"]),
        ("autogroup:admin", "tag:stalwart", ["autogroup:admin", "group:ops"]),
        ("autogroup:admin,tag:mail=group:ops", "tag:mail", ["group:ops", "group:more"]),
        ("tag:stalwart=group:ops", "tag:stalwart", ["group:ops"]),
    ],
)
def test_a_tag_of_others_has_to_exist_and_one_of_ours_to_have_its_owners(
    owners: str, tag: str, accepted: list[str] | None
) -> None:
    merged = merge(json.dumps({"tagOwners": {tag: accepted}, "acls": []}), desired_for(tag_owners=owners))
    assert any(tag in line for line in merged.satisfied)
    assert not any(change.name == tag for change in merged.changes)


@pytest.mark.parametrize(
    ("owners", "tag", "held"),
    [
        ("autogroup:admin", "tag:stalwart", ["group:ops"]),
        ("autogroup:admin", "tag:reverse-proxy", []),
        ("autogroup:admin,tag:mail=group:ops", "tag:mail", ["autogroup:admin"]),
    ],
)
def test_a_tag_of_ours_with_other_owners_is_refused(owners: str, tag: str, held: list[str]) -> None:
    with pytest.raises(TailwartError, match=tag):
        merge(json.dumps({"tagOwners": {tag: held}}), desired_for(tag_owners=owners))
