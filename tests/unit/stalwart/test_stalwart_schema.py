"""The model of the server's schema, and what it finds wrong with a document."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from tailwart.errors import TailwartError
from tailwart.stalwart.schema.checking import problems
from tailwart.stalwart.schema.model import MISSING, Rule, Shape, nearest
from tailwart.stalwart.schema.parsing import parse
from tests.unit.stalwart import schemas

RECORDED = Path(__file__).parents[2] / "contract" / "fixtures" / "jmap-transcript-0.16.7.jsonl"
NOVEL = {"@type": "Novel", "title": "Emma", "cover": {"colour": "red"}, "genre": "comedy"}
LIVE = {"@type": "Novel", "title": "Emma", "cover": {"colour": "red", "weight": 3}, "id": "b"}


def wrong(kind: str, document: dict[str, Any], **rest: Any) -> list[tuple[str, Rule]]:
    rest.setdefault("creating", True)
    return [(found.path, found.rule) for found in problems(schemas.small(), kind, document, **rest)]


def test_kinds_views_and_fields() -> None:
    schema = schemas.small()
    assert set(schema.kinds) == {"Book", "Shelf"}, "mail data is no setting"
    assert schema.kinds["Shelf"].singleton
    assert schema.referred("Book/Novel") == "Book"
    pages = schema.kinds["Book"].structure.variants["Novel"].fields["pages"]
    assert (pages.type.shape, pages.type.minimum, pages.type.maximum, pages.default) == (Shape.NUMBER, 1, 5000, 100)
    colour = schema.field("Book", "cover/colour", "Novel")
    assert colour is not None
    assert colour.required
    assert colour.default is MISSING
    assert schema.field("Book", "cover/weight/deeper") is None
    assert schema.field("Ship", "name") is None


@pytest.mark.parametrize(
    ("path", "phrase"),
    [
        ("owner", "an email address of at most 10 characters"),
        ("lock", "an object (Lock) with @type None, Key"),
        ("places", "a set with at least 1, each an IP address or network"),
        ("limits", "a map from one of crime, comedy to a duration in milliseconds"),
        ("address", "an ADDRESS:PORT or null"),
        ("oak", "true or false"),
    ],
)
def test_a_type_is_described_in_words(path: str, phrase: str) -> None:
    schema = schemas.small()
    field = schema.field("Shelf", path)
    assert field is not None
    assert schema.describe(field.type) == phrase


@pytest.mark.parametrize(
    ("document", "path", "rule"),
    [
        ({}, "@type", Rule.MISSING_VARIANT),
        ({"@type": "Novell"}, "@type", Rule.UNKNOWN_VARIANT),
        ({"@type": "Map"}, "title", Rule.REQUIRED),
        ({**NOVEL, "titel": "x"}, "titel", Rule.UNKNOWN_FIELD),
        ({**NOVEL, "scale": 1}, "scale", Rule.UNKNOWN_FIELD),
        ({**NOVEL, "title": 3}, "title", Rule.TYPE),
        ({**NOVEL, "title": ""}, "title", Rule.VALUE),
        ({**NOVEL, "title": None}, "title", Rule.TYPE),
        ({**NOVEL, "pages": 0}, "pages", Rule.VALUE),
        ({**NOVEL, "pages": "9"}, "pages", Rule.TYPE),
        ({**NOVEL, "pages": True}, "pages", Rule.TYPE),
        ({**NOVEL, "genre": "crme"}, "genre", Rule.VALUE),
        ({**NOVEL, "added": "2026-01-01T00:00:00Z"}, "added", Rule.SERVER_SET),
        ({**NOVEL, "cover": "red"}, "cover", Rule.TYPE),
        ({**NOVEL, "cover": {}}, "cover/colour", Rule.REQUIRED),
        ({**NOVEL, "chapters": {"0": {"colour": 1}}}, "chapters/0/colour", Rule.TYPE),
        ({**NOVEL, "chapters": [1]}, "chapters", Rule.TYPE),
    ],
)
def test_what_is_wrong_with_a_new_object(document: dict[str, Any], path: str, rule: Rule) -> None:
    assert wrong("Book", document) == [(path, rule)]


@pytest.mark.parametrize(
    ("document", "path", "rule"),
    [
        ({"places": {}}, "places", Rule.TOO_FEW),
        ({"places": {"10.0.0.0/99": True}}, "places/10.0.0.0/99", Rule.VALUE),
        ({"places": {"10.0.0.1": 1}}, "places/10.0.0.1", Rule.TYPE),
        ({"address": "nowhere"}, "address", Rule.VALUE),
        ({"limits": {"poetry": 5}}, "limits/poetry", Rule.VALUE),
        ({"limits": {"crime": 0}}, "limits/crime", Rule.VALUE),
        ({"lock": {"@type": "Key"}}, "lock/secret", Rule.REQUIRED),
        ({"lock": {"secret": "x"}}, "lock/@type", Rule.MISSING_VARIANT),
        ({"owner": "a-long-name@example.org"}, "owner", Rule.VALUE),
        ({"oak": "yes"}, "oak", Rule.TYPE),
        ({"limits/poetry": 5}, "limits/poetry", Rule.VALUE),
        ({"owner/name": "x"}, "owner/name", Rule.UNKNOWN_FIELD),
    ],
)
def test_what_is_wrong_with_a_patch(document: dict[str, Any], path: str, rule: Rule) -> None:
    assert wrong("Shelf", document, creating=False) == [(path, rule)]


@pytest.mark.parametrize(
    ("patch", "found"),
    [
        ({"title": "Persuasion"}, []),
        ({"cover/weight": 7}, []),
        ({"cover": {"weight": 7}}, []),
        ({"chapters/0": None}, []),
        ({"sequel": "c"}, []),
        ({"isbn": "1"}, [("isbn", Rule.READ_ONLY)]),
        ({"cover/weigth": 7}, [("cover/weigth", Rule.UNKNOWN_FIELD)]),
        ({"scale": 2.5}, [("scale", Rule.UNKNOWN_FIELD)]),
        ({"@type": "Map", "title": "Europe", "scale": 2.5}, []),
        ({"@type": "Map", "scale": 2.5}, [("title", Rule.REQUIRED)]),
        ({"@type": "Novel", "isbn": "1"}, [("isbn", Rule.READ_ONLY)]),
    ],
)
def test_a_patch_is_checked_against_the_object_that_is_there(
    patch: dict[str, Any], found: list[tuple[str, Rule]]
) -> None:
    assert wrong("Book", patch, creating=False, live=LIVE) == found


def test_a_message_names_field_types_and_the_nearest_name_and_never_a_secret() -> None:
    schema = schemas.small()
    (found,) = problems(schema, "Book", {**NOVEL, "titel": "x"}, creating=True)
    assert found.message().endswith("did you mean title?")
    (found,) = problems(schema, "Book", {**NOVEL, "cover": "red"}, creating=True)
    assert found.message() == "field cover: wrong type: a text; expected an object (Cover)"
    (found,) = problems(schema, "Shelf", {"lock": {"@type": "Key", "secret": ["hunter2"]}}, creating=False)
    assert "hunter2" not in found.message()
    (found,) = problems(schema, "Bok", {}, creating=True)
    assert (found.rule, found.nearest) == (Rule.UNKNOWN_KIND, "Book")
    assert nearest("zzz", ("Book",)) == ""


def test_what_a_newer_schema_adds_is_not_checked() -> None:
    assert wrong("Shelf", {"future": 3}, creating=False) == []


@pytest.mark.parametrize(
    "broken", [[], {}, {**schemas.SMALL, "fields": {"x:Novel": {}}}, {**schemas.SMALL, "enums": 3}]
)
def test_another_document_is_refused_in_words(broken: Any) -> None:
    with pytest.raises(TailwartError, match="schema cannot be read"):
        parse(broken)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(["@type", "title", "cover", "lock", "0", "secret", "x"]), inner),
    max_leaves=6,
)


@drawn(st.dictionaries(st.sampled_from(["@type", "title", "cover/colour", "limits/x", "lock", "places"]), _JSON))
def test_any_document_gets_an_answer(document: dict[str, Any]) -> None:
    for kind in ("Book", "Shelf"):
        for creating in (True, False):
            for found in problems(schemas.small(), kind, copy.deepcopy(document), creating=creating):
                assert found.message()


def _recorded() -> Iterator[tuple[str, str, bool, dict[str, Any], dict[str, Any]]]:
    """Every write of the recording: kind, title, whether it creates, the document, the server's answer."""
    for line in RECORDED.read_text().splitlines():
        entry = json.loads(line)
        request, response = entry["request"], entry.get("response")
        calls = request.get("methodCalls", ()) if isinstance(request, dict) else request if request else ()
        answers = response.get("methodResponses", ()) if isinstance(response, dict) else ()
        for call, answer in zip(calls, answers, strict=False):
            if not isinstance(call, list) or not str(call[0]).endswith("/set") or answer[0] == "error":
                continue
            kind = call[0].removeprefix("x:").removesuffix("/set")
            for verb in ("create", "update"):
                for token, document in (call[1].get(verb) or {}).items():
                    refusals = {**(answer[1].get("notCreated") or {}), **(answer[1].get("notUpdated") or {})}
                    yield kind, entry["title"], verb == "create", document, refusals.get(token) or {}


# What only the server can know: other objects, the network, its expressions.
_BEYOND = {"primaryKeyViolation", "invalidForeignKey", "objectIsLinked", "notFound", "invalidProperties", "forbidden"}


def test_the_recording_and_the_schema_agree_on_every_write() -> None:
    schema = schemas.schema("0.16.7")
    writes = list(_recorded())
    assert len(writes) > 40
    for kind, title, creating, document, refusal in writes:
        found = [each.message() for each in problems(schema, kind, document, creating=creating)]
        beyond = refusal.get("type") in _BEYOND or "Error parsing" in str(refusal) or "objectId" in refusal
        assert bool(found) == (bool(refusal) and not beyond), (title, found, refusal)


@pytest.mark.parametrize("version", schemas.versions())
def test_the_schema_of_a_real_server_is_understood_whole(version: str) -> None:
    schema = schemas.schema(version)
    document = schemas.document(version)
    assert len(schema.kinds) + len(schema.views) == len([name for name in document["objects"] if name[:2] == "x:"])
    for structure in schema.structures.values():
        for variant in structure.variants.values():
            for field in variant.fields.values():
                assert field.type.shape is not Shape.OTHER, (structure.name, field.name)
                assert schema.describe(field.type)
    assert schema.kinds["Account"].structure.variants.keys() == {"User", "Group"}
