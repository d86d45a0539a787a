"""`stalwart_objects` on a running server: planned, written, read back, repaired, released and deleted."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tailwart.errors import TailwartError
from tailwart.plan import render
from tailwart.stalwart.lifecycle import server_schema
from tailwart.stalwart.lifecycle.server import Observed
from tests.plans.stalwart.stalwart_host import Killed, StalwartHost
from tests.unit.stalwart.sample import settings

OBJECTS: dict[str, Any] = {
    "Http": {"rateLimitAnonymous": {"count": 77, "period": "2m"}},
    "SieveSystemScript": {"invoices": {"contents": "keep;\n", "isActive": True}},
    "MemoryLookupKey": {"spammer.example": {"namespace": "blocked-domains"}},
    "Role": {"helpers": {"enabledPermissions": ["authenticate"]}},
    "Domain": {"example.org": {"catchAllAddress": "alice@example.org"}},
}

NOTHING: dict[str, Any] = {
    "SieveSystemScript": {"invoices": None},
    "MemoryLookupKey": {"spammer.example": None},
    "Role": {"helpers": None},
}


@pytest.fixture(autouse=True)
def _schemas_of_this_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(server_schema, "CACHE", tmp_path / "schemas")


def observed(host: StalwartHost, objects: dict[str, Any], **more: Any) -> Observed:
    return host.plane(settings(objects=objects, **more)).observe()


def shown(host: StalwartHost, objects: dict[str, Any], **more: Any) -> str:
    found = observed(host, objects, **more)
    assert found.live is not None
    return render(found.planned.document(found.live))


def one(host: StalwartHost, kind: str, **fields: Any) -> dict[str, Any]:
    (found,) = (item for item in host.objects(kind) if all(item.get(name) == value for name, value in fields.items()))
    return found


def test_what_is_declared_is_made_and_a_second_run_changes_nothing(host: StalwartHost) -> None:
    host.deploy(settings(objects=OBJECTS))
    assert one(host, "SieveSystemScript", name="invoices")["contents"].strip() == "keep;"
    assert one(host, "MemoryLookupKey", key="spammer.example")["namespace"] == "blocked-domains"
    assert one(host, "Domain", name="example.org")["catchAllAddress"] == "alice@example.org"
    assert one(host, "Http")["rateLimitAnonymous"] == {"count": 77, "period": 120_000}
    assert "no changes" in shown(host, OBJECTS)
    before = host.commands
    assert observed(host, OBJECTS).up_to_date
    assert host.commands - before <= 2, "the reading and the schema's digest"


def test_names_count_in_the_spelling_that_the_server_gives_them(host: StalwartHost) -> None:
    objects: dict[str, Any] = {
        "SpamRule": {"from bank": {"@type": "Any", "condition": {"else": "false"}}},
        "SpamTag": {"From_Bank": {"@type": "Score", "score": 2.0}},
        "SpamFileExtension": {"EXE": {"isBad": True}},
        "Domain": {"Second-Example.org": {"aliases": ["Also.Second-Example.org"]}},
    }
    host.deploy(settings(objects=objects))
    assert one(host, "SpamRule", name="FROMBANK")
    assert one(host, "SpamTag", tag="FROM_BANK")
    assert one(host, "SpamFileExtension", extension="exe")
    assert one(host, "Domain", name="second-example.org")["aliases"] == {"also.second-example.org": True}
    assert "no changes" in shown(host, objects)
    gone = {kind: dict.fromkeys(named) for kind, named in objects.items() if kind != "Domain"}
    host.deploy(settings(objects=gone))
    assert all(not host.objects(kind) or "bank" not in str(host.objects(kind)).lower() for kind in gone)


def test_drift_is_shown_and_repaired_and_foreign_fields_stay(host: StalwartHost) -> None:
    host.deploy(settings(objects=OBJECTS))
    script = one(host, "SieveSystemScript", name="invoices")["id"]
    host.call("SieveSystemScript", "set", update={script: {"contents": "discard;\n", "description": "by hand"}})
    host.call("Http", "set", update={"singleton": {"rateLimitAnonymous/count": 5, "usePermissiveCors": True}})
    text = shown(host, OBJECTS)
    assert "~ SieveSystemScript invoices" in text
    assert "rateLimitAnonymous/count: 5 → 77" in text
    assert "description" not in text
    assert "usePermissiveCors" not in text
    host.deploy(settings(objects=OBJECTS))
    assert "no changes" in shown(host, OBJECTS)
    assert one(host, "SieveSystemScript", name="invoices")["description"] == "by hand"
    assert one(host, "Http")["usePermissiveCors"] is True


def test_an_object_that_is_there_already_is_taken_over_and_never_called_ours(host: StalwartHost) -> None:
    host.deploy(settings())
    host.call("SieveSystemScript", "set", create={"a": {"name": "invoices", "contents": "stop;\n"}})
    host.deploy(settings(objects=OBJECTS))
    assert one(host, "SieveSystemScript", name="invoices")["contents"].strip() == "keep;"
    text = shown(host, {})
    assert "SieveSystemScript invoices: not declared any more, and as last written" in text
    assert "Role helpers: not declared any more, still in force; to delete it" in text
    assert "no changes" in text


def test_none_deletes_and_only_what_it_names(host: StalwartHost) -> None:
    host.deploy(settings(objects=OBJECTS))
    gone = {**OBJECTS, "SieveSystemScript": {"invoices": None}, "Role": {}}
    text = shown(host, gone)
    assert "- SieveSystemScript invoices  (declared as None)" in text
    assert "1 to delete" in text
    host.deploy(settings(objects=gone))
    assert host.objects("SieveSystemScript") == []
    assert one(host, "Role", description="helpers")
    assert "no changes" in shown(host, gone)


def test_a_renamed_key_is_the_same_object_and_a_new_name_in_the_file_too(host: StalwartHost) -> None:
    host.deploy(settings(objects={"Role": {"helpers": {"enabledPermissions": ["authenticate"]}}}))
    identifier = one(host, "Role", description="helpers")["id"]
    renamed = {"Role": {"helpers": {"description": "assistants", "enabledPermissions": ["authenticate"]}}}
    host.deploy(settings(objects=renamed))
    assert one(host, "Role", description="assistants")["id"] == identifier
    assert "no changes" in shown(host, renamed)
    moved = {"Role": {"assistants": {"enabledPermissions": ["authenticate"]}}}
    assert "no changes" in shown(host, moved)


def test_references_are_names_of_declared_and_of_live_objects(host: StalwartHost) -> None:
    objects = {
        "MtaVirtualQueue": {"bulk": {"threadsPerNode": 3}},
        "Role": {"outer": {"roleIds": ["inner"]}, "inner": {"enabledPermissions": ["authenticate"]}},
        "DkimReportSettings": {},
        "SystemSettings": {"maxConnections": 4000},
        "MailingList": {"team@example.org": {"recipients": ["alice@example.org"]}},
    }
    host.deploy(settings(objects=objects))
    inner, outer = one(host, "Role", description="inner"), one(host, "Role", description="outer")
    assert outer["roleIds"] == {inner["id"]: True}
    domain = one(host, "Domain", name="example.org")
    assert one(host, "MailingList", name="team")["domainId"] == domain["id"]
    assert "no changes" in shown(host, objects)


def test_a_secret_is_a_variable_where_the_server_takes_one(host: StalwartHost) -> None:
    secrets = {"SECRET_HOOK": "a-very-secret-word"}
    objects = {"WebHook": {"https://hooks.example.net/": {"signatureKey": {"env": "SECRET_HOOK"}}}}
    with pytest.raises(TailwartError, match="SECRET_HOOK in its environment"):
        host.deploy(settings(objects=objects, secrets=secrets))
    assert host.objects("WebHook") == [], "nothing is half-written"
    host.set_variables(SECRET_HOOK="a-very-secret-word")
    host.deploy(settings(objects=objects, secrets=secrets))
    hook = one(host, "WebHook", url="https://hooks.example.net/")
    assert hook["signatureKey"] == {"@type": "EnvironmentVariable", "variableName": "SECRET_HOOK"}
    assert "no changes" in shown(host, objects, secrets=secrets)


def test_a_secret_that_can_only_be_a_value_is_written_again_when_env_changes(host: StalwartHost) -> None:
    objects = {"OAuthClient": {"webmail": {"secret": {"env": "SECRET_WEBMAIL"}, "contacts": ["a@example.org"]}}}
    host.deploy(settings(objects=objects, secrets={"SECRET_WEBMAIL": "first-secret-word"}))
    assert "no changes" in shown(host, objects, secrets={"SECRET_WEBMAIL": "first-secret-word"})
    text = shown(host, objects, secrets={"SECRET_WEBMAIL": "second-secret-word"})
    assert "~ OAuthClient webmail" in text
    assert "secret-word" not in text
    for written in ("objects.json", "fingerprints.json"):
        assert "secret-word" not in (host.home / written).read_text()
    assert "secret-word" not in "".join(host.scripts)


def test_a_run_that_dies_anywhere_leaves_nothing_double_and_nothing_unknown(host: StalwartHost) -> None:
    host.deploy(settings())
    for step in range(1, 40):
        host.kill_at = host.commands + step
        with suppress(Killed):
            host.deploy(settings(objects=OBJECTS))
            break
        host.kill_at = 0
        host.deploy(settings(objects=OBJECTS))
        assert "no changes" in shown(host, OBJECTS), step
        assert len([item for item in host.objects("Role") if item["description"] == "helpers"]) == 1
        assert "SieveSystemScript invoices: not declared any more, still in force" in shown(host, {}), (step, "ours")
        host.deploy(settings(objects=NOTHING))
        assert not [item for item in host.objects("Role") if item["description"] == "helpers"]
    host.kill_at = 0
    assert step > 6, "the deploy was interrupted at every step"


def test_a_lost_note_adopts_instead_of_creating_again(host: StalwartHost) -> None:
    host.deploy(settings(objects=OBJECTS))
    (host.home / "objects.json").unlink()
    assert "no changes" in shown(host, OBJECTS)
