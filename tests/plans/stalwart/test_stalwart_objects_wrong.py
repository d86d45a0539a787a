"""Wrong declarations, each with its whole message: file, line, object, field, what is allowed, the name that was meant.

The schema is the one that the stand-in serves; nothing runs here, and nothing is written.
"""

from __future__ import annotations

import json
import subprocess
from functools import cache
from typing import Any

import pytest
from pydantic import SecretStr

from lab import programs
from tailwart.errors import TailwartError
from tailwart.stalwart.objects.declared import NAME
from tailwart.stalwart.objects.lines import lines
from tailwart.stalwart.objects.notes import Note, Notes
from tailwart.stalwart.objects.resolving import Inputs, resolve
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.schema.model import Schema
from tailwart.stalwart.schema.parsing import parse
from tailwart.stalwart.settings.desired import desired
from tailwart.stalwart.settings.fingerprints import empty
from tests.unit.stalwart.sample import settings

LIVE = Live(
    {
        "Domain": ({"id": "b", "name": "example.org"},),
        "Account": (
            {"id": "c", "@type": "User", "name": "alice", "domainId": "b", "emailAddress": "alice@example.org"},
        ),
        "MtaVirtualQueue": ({"id": "q", "name": "remote"}, {"id": "r", "name": "local"}),
        "MtaRoute": ({"id": "m", "@type": "Relay", "name": "backup", "address": "192.0.2.9", "description": None},),
        "ClusterRole": ({"id": "k", "name": "front"},),
        "MtaHook": ({"id": "1", "url": "https://a.example.org"}, {"id": "2", "url": "https://a.example.org"}),
        "Http": ({"id": "singleton", "usePermissiveCors": False},),
        "Email": ({"id": "singleton"},),
    }
)


@cache
def schema() -> Schema:
    programs.ensure([programs.STANDIN])
    done = subprocess.run([programs.binary("stalwart"), "--schema"], capture_output=True, check=True)
    return parse(json.loads(done.stdout), "stand-in")


def refused(source: str, notes: Notes | None = None) -> str:
    """The message for `stalwart_objects = SOURCE`, which begins in line 1."""
    text = f"{NAME} = {source}\n"
    values: dict[str, Any] = {}
    exec(text, values)  # noqa: S102 - the test's own literals
    given = settings(objects=values[NAME])
    secrets = {"SECRET_HOOK": SecretStr("word"), "STALWART_S3_SECRET_KEY": SecretStr("word")}
    inputs = Inputs(given, schema(), desired(given), secrets, lambda: lines(text, NAME))
    with pytest.raises(TailwartError) as caught:
        resolve(inputs, LIVE, notes or {}, empty())
    return str(caught.value)


WRONG: tuple[tuple[str, str], ...] = (
    # kinds
    ('{"Emial": {}}', "mailbox.py:1: Emial: unknown kind; did you mean Email?"),
    ('{"x:Email": {}}', "mailbox.py:1: x:Email: unknown kind; write Email, without the prefix"),
    ('{"Zebra": {}}', "Zebra: unknown kind; known are "),
    ('{"Account/User": {}}', "Account/User: the server's second name for Account; use that"),
    ('{"Email": []}', "Email: a list; expected a mapping of its fields"),
    ('{"Role": []}', "Role: a list; expected a mapping of names to fields"),
    ('{"Role": {"a": 5}}', "Role a: a int; expected a mapping of fields, or None"),
    ('{"Role": {"description": "helpers"}}', "kind with many objects: kind → name → fields"),
    ('{"Role": {"": {}}}', "expected a name that is a text"),
    ('{"Task": {"a": {}}}', "Task: cannot be declared: an order, not a setting"),
    ('{"DataStore": {"@type": "RocksDb"}}', "DataStore: cannot be declared: STALWART_STORE and STALWART_DB_… in .env"),
    ('{"QueuedMessage": {}}', "QueuedMessage: cannot be declared: mail"),
    # fields
    ('{"Email": {"maxMesageSize": 5}}', "mailbox.py:1: Email, field maxMesageSize: unknown field"),
    ('{"Email": {"maxMesageSize": 5}}', "did you mean maxMessageSize?"),
    (
        '{\n "Http":\n {\n  "usePermissiveCors": "yes"}}',
        "mailbox.py:4: Http, field usePermissiveCors: wrong type: a text",
    ),
    ('{"Email": {"maxMessageSize": "big"}}', '"big" is not a size; expected a size in bytes'),
    ('{"Email": {"maxMessageSize": "big"}}', 'or a text such as "500K", "25M", "2G"'),
    ('{"Email": {"maxMessageSize": -1}}', "Email, field maxMessageSize: not allowed"),
    ('{"WebHook": {"https://h.example.org": {"timeout": "soon"}}}', '"soon" is not a duration'),
    ('{"WebHook": {"https://h.example.org": {"timeout": 0}}}', "field timeout: not allowed"),
    (
        '{"WebHook": {"https://h.example.org": {"level": "loud"}}}',
        "WebHook https://h.example.org, field level: not allowed: loud",
    ),
    ('{"WebHook": {"https://h.example.org": {"level": "inof"}}}', "did you mean info?"),
    (
        '{"MtaMilter": {"spam": {"port": 70000}}}',
        "MtaMilter spam, field port: not allowed: 70000; expected a whole number from 1 to 65535",
    ),
    ('{"MtaMilter": {"spam": {"port": "25"}}}', "field port: wrong type: a text"),
    ('{"MtaMilter": {"spam": {"stages": []}}}', "field stages: too few"),
    ('{"MtaMilter": {"spam": {"stages": "data"}}}', "field stages: wrong type: a text"),
    ('{"MtaMilter": {"spam": {"stages": [{"a": 1}]}}}', "an object in a set; expected a set"),
    ('{"BlockedIp": {"300.1.2.3": {}}}', "BlockedIp 300.1.2.3, field address: not allowed"),
    ('{"MtaRoute": {"spare": {}}}', "MtaRoute spare, field @type: @type is missing; expected one of "),
    ('{"MtaRoute": {"spare": {"@type": "Realy"}}}', "unknown @type: Realy"),
    ('{"MtaRoute": {"spare": {"@type": "Realy"}}}', "did you mean Relay?"),
    ('{"MtaRoute": {"spare": {"@type": "Relay"}}}', "MtaRoute spare, field address: required"),
    ('{"MtaRoute": {"backup": {"@type": "Relay", "addres": "a"}}}', "did you mean address?"),
    ('{"Domain": {"example.org": {"createdAt": "2026-01-01T00:00:00Z"}}}', "field createdAt: set by the server"),
    ('{"MtaInboundThrottle": {"slow": {"key": ["sender"]}}}', "MtaInboundThrottle slow, field rate: required"),
    ('{"MtaInboundThrottle": {"slow": {"rate": {"count": 0, "period": "1h"}}}}', "field rate/count: not allowed: 0"),
    ('{"MtaInboundThrottle": {"slow": {"rate": 5}}}', "field rate: wrong type: a number; expected an object (Rate)"),
    # references
    (
        '{"MtaDeliverySchedule": {"slow": {"queueId": "remot"}}}',
        "field queueId: there is no MtaVirtualQueue remot (by name); did you mean remote?",
    ),
    (
        '{"MtaDeliverySchedule": {"slow": {"queueId": "zzz"}}}',
        "there is no MtaVirtualQueue zzz (by name); known are local, remote",
    ),
    (
        '{"MtaDeliverySchedule": {"slow": {"queueId": 5}}}',
        "wrong type: a number; expected the id of a MtaVirtualQueue; write its name",
    ),
    # secrets
    ('{"OAuthClient": {"web": {"secret": "hunter2"}}}', 'a secret does not stand here; write {"env": "SECRET_…"}'),
    (
        '{"WebHook": {"https://h.example.org": {"signatureKey": {"@type": "Value", "secret": "hunter2"}}}}',
        "field signatureKey/secret: a secret does not stand here",
    ),
    (
        '{"WebHook": {"https://h.example.org": {"signatureKey": {"env": "SECRET_HOK"}}}}',
        "SECRET_HOK is not set in .env; did you mean SECRET_HOOK?",
    ),
    (
        '{"WebHook": {"https://h.example.org": {"signatureKey": {"env": "HOOK"}}}}',
        "names of your own begin with SECRET_",
    ),
    (
        '{"Email": {"maxMessageSize": {"env": "SECRET_HOOK"}}}',
        '{"env": …} is for secrets and texts; expected a size in bytes',
    ),
    # what settings manage
    (
        '{"SystemSettings": {"defaultHostname": "mx.example.org"}}',
        "SystemSettings, field defaultHostname: is managed by DOMAIN in .env; set it there",
    ),
    (
        '{"Domain": {"example.org": {"dkimManagement": {"@type": "Manual"}}}}',
        "is managed by this project itself: RSA only (lesson 15)",
    ),
    (
        '{"Account": {"alice": {"aliases": []}}}',
        "Account alice, field aliases: is managed by ACCOUNTS in .env, or mailbox_accounts",
    ),
    ('{"Account": {"alice@example.org": {"credentials": []}}}', "field credentials: is managed by ACCOUNTS in .env"),
    (
        '{"MtaOutboundStrategy": {"route": {"else": "\'mx\'"}}}',
        "MtaOutboundStrategy, field route: is managed by SMARTHOST_ADDRESS in .env",
    ),
    (
        '{"NetworkListener": {"mine": {"bind": ["[::]:995"], "protocol": "pop3"}}}',
        "the port of pop3s is managed by MAIL_SERVICES in .env",
    ),
    ('{"AllowedIp": {"203.0.113.7": None}}', "cannot be removed: it is managed by EDGES in .env"),
    # never deleted, and which one
    ('{"Account": {"carol@example.org": None}}', "is never deleted from here: its mail would be gone at once"),
    ('{"Domain": {"other.example": None}}', "is never deleted from here"),
    ('{"MtaHook": {"https://a.example.org": {"timeout": "5s"}}}', "2 live objects have this url"),
    ('{"Role": {"a": {"description": "x"}, "b": {"description": "x"}}}', "Role b: is the same object as Role a"),
    ('{"Email": {}, "Role": {},\n "Email": {}}', "mailbox.py:2: Email: stands twice; the second one would win"),
)


@pytest.mark.parametrize(("source", "message"), WRONG, ids=[f"{place}" for place, _ in enumerate(WRONG)])
def test_a_wrong_declaration_is_refused_with(source: str, message: str) -> None:
    text = refused(source)
    assert message in text
    assert "hunter2" not in text, "no secret in a message"
    assert "correct group_data/mailbox.py" in text


def test_a_field_that_only_a_new_object_takes_is_named_with_both_values() -> None:
    noted = {("ClusterRole", "front"): Note("k", True)}
    text = refused('{"ClusterRole": {"front": {\n"name": "back"}}}', noted)
    assert "mailbox.py:2: ClusterRole front, field name: can only be set at creation: it is front" in text
    assert "declared is back; keep the value, or declare the object as None, deploy, and declare it again" in text


def test_there_are_forty() -> None:
    assert len(WRONG) >= 40


def test_every_mistake_is_named_at_once_in_the_order_of_the_file() -> None:
    text = refused('{\n"Email": {"maxMesageSize": 5},\n"Zebra": {},\n"Task": {},\n}')
    assert "3 mistakes; nothing was written" in text
    places = [text.index(f"mailbox.py:{line}: ") for line in (2, 3, 4)]
    assert places == sorted(places)
