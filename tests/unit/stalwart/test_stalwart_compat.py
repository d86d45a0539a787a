"""Every object that is written against the schemas of the servers, and the refusal of what one does not take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from tailwart import providers, releases
from tailwart.errors import TailwartError
from tailwart.plan.model import Action
from tailwart.providers.definition import DnsServer
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.orders import ORDERS
from tailwart.stalwart.protocol.values import PublicText, Ref, encode, same, shown
from tailwart.stalwart.schema.checking import problems
from tailwart.stalwart.schema.model import Schema, Shape
from tailwart.stalwart.settings import compat
from tailwart.stalwart.settings.desired import desired
from tailwart.stalwart.settings.fingerprints import empty
from tailwart.stalwart.settings.inputs import AccountInput, Acme, GroupInput, ListInput, MailboxSettings, S3Store
from tailwart.stalwart.settings.planning import ObjectChange, plan
from tests.unit.dns.test_dns_servers import server
from tests.unit.stalwart import schemas
from tests.unit.stalwart.every_term import EVERY_TERM, OIDC
from tests.unit.stalwart.sample import Deployed, settings
from tests.unit.stalwart.test_stalwart_terms import given

S3 = S3Store("http://garage.tail1234.ts.net:3900", "garage", "stalwart-mail", "GKkey")
ADMIN = AccountInput("admin@example.org", SecretStr("admin-password-1"), admin=True)
# Between them every branch of `desired`: each kind, each variant, each optional field.
INPUTS: dict[str, MailboxSettings] = {
    "small": settings(),
    "bare": settings(accounts=(ADMIN,), edges=[], smarthost_address=None),
    "everything": settings(
        accounts=(
            ADMIN,
            AccountInput("alice@example.org", SecretStr("alice-password-1"), ("all@example.net",), 1 << 30),
            AccountInput("bob@example.net", description="Bob"),
        ),
        extra_domains=["example.net"],
        groups=(GroupInput("office@example.org", ("admin@example.org",), ("desk@example.org",), "The office"),),
        lists=(ListInput("news@example.org", ("friend@example.com",), ("letter@example.org",), "News"),),
        mail_services="smtp,submissions,submission,imap,imaps,pop3s,sieve",
        acme=Acme(
            "https://acme.example.net/dir", "ops@example.org", DnsServer("rfc2136", "Tsig", {"host": "192.0.2.53"})
        ),
        s3=S3,
        redis_url="redis://:secret@redis.tail1234.ts.net:6379/3",
        metrics=True,
        ip_lookup="v4Only",
        offline=False,
    ),
    "every term": given(**EVERY_TERM),
    "oidc": given(**OIDC),
    "no login at the smarthost": settings(smarthost_username=None, smarthost_password=None),
}


@pytest.fixture(params=schemas.versions())
def schema(request: pytest.FixtureRequest) -> Schema:
    return schemas.schema(request.param)


def _of_tsig(found: list[compat.Mismatch]) -> list[str]:
    """Without the keys of the DNS server, which the sample leaves out; tests/unit/dns holds each provider's own."""
    return [item.message() for item in found if item.ref.kind != "DnsServer"]


@pytest.mark.parametrize("name", INPUTS)
def test_a_server_takes_every_object_that_is_declared(schema: Schema, name: str) -> None:
    assert _of_tsig(compat.everything(desired(INPUTS[name]), schema)) == []


def test_a_server_takes_every_order(schema: Schema) -> None:
    for kind, document in ORDERS:
        assert [found.message() for found in problems(schema, kind, document, creating=True)] == []


@pytest.mark.parametrize("name", INPUTS)
def test_a_server_takes_the_first_plan_and_every_repair(schema: Schema, name: str) -> None:
    given = INPUTS[name]
    first = plan(desired(given), Live({}), empty())
    assert _of_tsig(compat.mismatches(compat.adapted(first.changes, schema), schema)) == []
    drifted = Deployed(given)
    for item in drifted.server.objects["NetworkListener"].values():
        item.update({"bind": {"[::]:9": True}} if "[::]:25" in item["bind"] else {"useTls": None})
    for item in drifted.server.objects["Account"].values():
        item.update(aliases={}, quotas={})
    for item in drifted.server.objects["MtaRoute"].values():
        item.update({"port": 1} if item["@type"] == "Relay" else {})
    repair = drifted.plan(given)
    assert {change.action for change in repair.changes} >= {Action.CREATE, Action.UPDATE}
    assert _of_tsig(compat.mismatches(compat.adapted(repair.changes, schema), schema)) == []


@pytest.mark.parametrize("name", [name for name, each in providers.definitions().items() if each.dns_server])
def test_a_server_takes_every_dns_provider(schema: Schema, name: str) -> None:
    made = settings(acme=Acme("https://acme.example.net/dir", "ops@example.org", server(name)))
    assert [item.message() for item in compat.everything(desired(made), schema)] == []


def test_the_access_key_is_written_in_the_form_that_the_running_server_takes() -> None:
    changes = [
        item for item in plan(desired(settings(s3=S3)), Live({}), empty()).changes if item.ref.kind == "BlobStore"
    ]
    forms: list[tuple[str, Any]] = [("0.16.7", "GKkey"), ("0.16.18", {"@type": "Value", "value": "GKkey"})]
    for version, form in forms:
        (by_version,) = compat.adapted(changes, None, version)
        assert by_version.values["accessKey"] == form
        field = schemas.schema(version).field("BlobStore", "accessKey", "S3")
        assert field is not None
        assert (field.type.shape is Shape.STRING) == (form == "GKkey")
        (by_schema,) = compat.adapted(changes, schemas.schema(version), "0.16.99")
        assert by_schema.values["accessKey"] == form


@pytest.mark.parametrize("version", ["0.16.7", "0.16.15", "0.16.16", "0.16.18", ""])
def test_both_forms_of_the_access_key_are_one_value(version: str) -> None:
    key = PublicText("GKkey")
    for live in ("GKkey", {"@type": "Value", "value": "GKkey"}):
        assert same(key, live, lambda _: None)
    for other in ("other", {"@type": "EnvironmentVariable", "variableName": "GKkey"}, None, "****"):
        assert not same(key, other, lambda _: None)
    assert shown(key) == "GKkey"
    assert encode(key, lambda _: None) == {"@type": "Value", "value": "GKkey"}
    assert releases.text_as_object(version) == (version not in ("0.16.7", "0.16.15"))


def shelf(**fields: Any) -> ObjectChange:
    return ObjectChange(Action.UPDATE, Ref("Shelf", "singleton"), "singleton", fields, {"owner": "me@x.org"})


def test_a_mismatch_names_object_field_and_both_types() -> None:
    found = compat.mismatches([shelf(oak="yes"), replace(shelf(), ref=Ref("Boat", "b"))], schemas.small())
    assert [item.message() for item in found] == [
        "Shelf singleton, field oak: wrong type: a text; expected true or false",
        "Boat b, unknown kind: Boat",
    ]
    with pytest.raises(
        TailwartError, match=r"Stalwart 0\.16\.99 takes other settings[^§]*Shelf singleton, field oak"
    ) as it:
        compat.require(found, "0.16.99")
    assert "nothing was written" in (it.value.expected or "")
    compat.require([], "0.16.99")


def test_a_mismatch_never_shows_a_value() -> None:
    for value in ("hunter2", {"secret": "hunter2"}, ["hunter2"]):
        for item in compat.mismatches([shelf(oak=value, limits=value, lock=value)], schemas.small()):
            assert "hunter2" not in item.message()
