"""The table of kinds: every kind that is declared, deleted or referred to is read, and known by its natural key."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tailwart.providers.definition import DnsServer
from tailwart.stalwart.protocol.jmap import MAX_CALLS, SINGLETON
from tailwart.stalwart.protocol.kinds import KINDS, READ, REFERENCES, PostApply
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import Ref, references
from tailwart.stalwart.settings.desired import desired
from tailwart.stalwart.settings.desired_object import DesiredObject, combined
from tailwart.stalwart.settings.inputs import AccountInput, Acme, GroupInput, ListInput, S3Store
from tailwart.stalwart.settings.planning import RETIREMENT
from tests.unit.stalwart.sample import Deployed, settings

EVERYTHING = settings(
    accounts=(AccountInput("admin@example.org", SecretStr("admin-password-1"), admin=True),),
    groups=(GroupInput("office@example.org", members=("admin@example.org",)),),
    lists=(ListInput("news@example.org", recipients=("friend@example.com",)),),
    mail_services="smtp,submissions,submission,imap,imaps,pop3s,sieve",
    acme=Acme("https://acme.example.net/dir", "ops@example.org", DnsServer("rfc2136", "Tsig", {"host": "192.0.2.53"})),
    s3=S3Store("http://garage.tail1234.ts.net:3900", "garage", "stalwart-mail", "GKkey"),
    redis_url="redis://redis.tail1234.ts.net:6379/3",
    metrics=True,
)


def test_every_declared_kind_is_read() -> None:
    read = {call.kind for call in READ}
    assert {item.kind for item in desired(EVERYTHING)} <= read
    assert {name for name in RETIREMENT if not KINDS[name].on_demand} <= read
    assert set(REFERENCES.values()) <= read


def test_a_kind_that_is_not_in_the_table_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="Tenant is not in KINDS"):
        DesiredObject("Tenant", "acme", {})


def test_owners_of_one_object_name_its_fields_together_and_none_twice() -> None:
    domain = DesiredObject("Domain", "example.org", {"isEnabled": True}, at_creation={"name": "example.org"})
    (both,) = combined([domain, DesiredObject("Domain", "example.org", {"catchAllAddress": "a@example.org"})])
    assert both.fields == {"isEnabled": True, "catchAllAddress": "a@example.org"}
    assert both.at_creation == {"name": "example.org"}
    with pytest.raises(ValueError, match=r"Domain example\.org: isEnabled is declared twice"):
        combined([domain, domain])


def test_every_retirable_kind_has_a_rule_and_no_other() -> None:
    assert RETIREMENT.keys() == {kind.name for kind in KINDS.values() if kind.retirable}
    assert not {"Account", "Domain", "MailingList"} & RETIREMENT.keys(), "mail is never destroyed"


def test_each_kind_comes_after_those_it_refers_to() -> None:
    order = {name: place for place, name in enumerate(KINDS)}
    for item in desired(EVERYTHING):
        values = (dict(item.fields), dict(item.at_creation))
        assert all(order[ref.kind] <= order[item.kind] for ref in references(values)), item.ref


def test_what_was_written_is_found_again_under_its_declared_key() -> None:
    deployed = Deployed(EVERYTHING)
    live = deployed.read()
    for item in desired(EVERYTHING):
        assert live.get(item.ref) is not None, item.ref


def test_all_kinds_are_read_in_as_few_requests_as_the_limit_allows() -> None:
    deployed = Deployed()
    deployed.read()
    assert deployed.server.requests == -(-len(READ) // MAX_CALLS)


def test_a_kind_outside_the_table_has_objects_but_no_name() -> None:
    live = Live({"Task": ({"id": "t"},), "Domain": ({"id": "b", "name": "example.org"},)})
    assert live.of("Task") == ({"id": "t"},)
    assert live.names == {("Domain", "b"): "example.org"}
    assert live.get(Ref("Task", SINGLETON)) is None


@pytest.mark.parametrize(
    ("kind", "fields", "action"),
    [
        ("SystemSettings", {"maxConnections"}, PostApply.RELOAD),
        ("SystemSettings", {"defaultHostname"}, PostApply.RESTART),
        ("SystemSettings", {"defaultHostname", "proxyTrustedNetworks"}, PostApply.RESTART),
        ("NetworkListener", {"bind"}, PostApply.RESTART),
        ("Account", {"aliases"}, PostApply.NOTHING),
    ],
)
def test_the_post_apply_action_depends_on_the_kind_and_on_restart_fields(
    kind: str, fields: set[str], action: PostApply
) -> None:
    assert KINDS[kind].post_apply_of(fields) is action
