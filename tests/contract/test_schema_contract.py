"""The server's own description of its objects: who may read it, where it is, and that writes follow it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.installation import PASSWORD, WITH_ADMIN, install
from tests.contract.server import RECOVERY, Server

_ALICE = ("alice@example.org", PASSWORD)


@pytest.fixture(scope="module")
def running(embedded: Server) -> Iterator[Server]:
    with embedded.running(WITH_ADMIN):
        install(embedded)
        yield embedded


@pytest.fixture(scope="module")
def schema(running: Server) -> Any:
    at = running.http("GET", "/api/schema", RECOVERY).headers["Location"]
    return json.loads(gzip.decompress(running.download(at, RECOVERY)))


def test_whoever_can_log_in_reads_it_at_an_address_of_its_own(running: Server) -> None:
    assert running.http("GET", "/api/schema").status == 401
    for login in (RECOVERY, _ALICE):
        redirect = running.http("GET", "/api/schema", login)
        assert redirect.status == 302
    at = redirect.headers["Location"]
    assert at.startswith("/api/schema/")
    assert running.http("GET", at).status == 401
    outdated = running.http("GET", "/api/schema/of-another-release", RECOVERY)
    assert (outdated.status, outdated.headers["Location"]) == (302, at)


def test_it_names_objects_variants_fields_and_enumerations(schema: Any) -> None:
    assert schema["objects"]["x:NetworkListener"]["type"] == "object"
    assert schema["objects"]["x:BlobStore"]["type"] == "singleton"
    assert schema["schemas"]["x:NetworkListener"] == {"type": "single", "schemaName": "x:NetworkListener"}
    variants = {each["name"]: each.get("schemaName") for each in schema["schemas"]["x:BlobStore"]["variants"]}
    assert (variants["Default"], variants["S3"]) == (None, "x:S3Store")
    listener = schema["fields"]["x:NetworkListener"]
    bind = {"type": "set", "class": {"type": "string", "format": "socketAddress"}, "minItems": 1}
    assert listener["properties"]["bind"]["type"] == bind
    assert listener["properties"]["name"]["update"] == "immutable"
    assert listener["defaults"]["tlsTimeout"] == 60000
    protocol = listener["properties"]["protocol"]["type"]["enumName"]
    assert {"smtp", "imap"} < {each["name"] for each in schema["enums"][protocol]}
    assert schema["fields"]["x:Http"]["defaults"]["allowedEndpoints"] == {"default": "200"}
    assert schema["fields"]["x:Http"]["defaults"]["rateLimitAnonymous"] == {"count": 100, "period": "1m"}


def test_every_reference_inside_it_leads_somewhere(schema: Any) -> None:
    # The objects of mail itself, without the x:, name an enumeration that the server's own schema lacks.
    own = {name: each for name, each in schema["fields"].items() if name.startswith("x:")}
    named = [each for each in _types(own) if "objectName" in each or "enumName" in each]
    structures = {each["objectName"] for each in named if each["type"] in ("object", "objectList")}
    assert structures <= schema["schemas"].keys()
    assert {each["enumName"] for each in named if "enumName" in each} <= schema["enums"].keys()
    for each in schema["schemas"].values():
        for variant in each.get("variants", [each]):
            assert "schemaName" not in variant or variant["schemaName"] in schema["fields"]


def _types(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if isinstance(value.get("type"), str):
            yield value
        for member in value.values():
            yield from _types(member)


def test_its_singletons_can_be_read_and_its_fields_are_those_of_the_answers(running: Server, schema: Any) -> None:
    names = [n for n, each in schema["objects"].items() if each["type"] == "singleton" and not each.get("enterprise")]
    for start in range(0, len(names), 16):
        part = names[start : start + 16]
        answers = running.call(RECOVERY, *((f"{name}/get", {"ids": None}) for name in part))
        for name, (_, body) in zip(part, answers, strict=True):
            for shown in body.get("list", []):
                assert shown.keys() - {"id", "@type"} <= _fields(schema, name, shown).keys(), name


def _fields(schema: Any, name: str, shown: Any) -> Any:
    described = schema["schemas"][name]
    if described["type"] == "single":
        return schema["fields"][described["schemaName"]]["properties"]
    variant = next(each for each in described["variants"] if each["name"] == shown["@type"])
    return schema["fields"][variant["schemaName"]]["properties"] if "schemaName" in variant else {}
