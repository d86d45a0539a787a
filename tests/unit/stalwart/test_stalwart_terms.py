"""The operator's terms: every key gives objects of both schemas, a second plan is empty, nothing is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.plan import render
from tailwart.plan.model import Action
from tailwart.stalwart.mailbox_host import declared
from tailwart.stalwart.protocol.kinds import KINDS, MARK
from tailwart.stalwart.protocol.values import Ref, encode, placed
from tailwart.stalwart.schema.checking import problems
from tailwart.stalwart.settings.declaration import NAMES, from_environment
from tailwart.stalwart.settings.desired import desired
from tailwart.stalwart.settings.inputs import MailboxSettings
from tailwart.stalwart.settings.terms.model import Terms
from tests.unit.stalwart import schemas
from tests.unit.stalwart.every_term import EVERY_TERM, OIDC
from tests.unit.stalwart.sample import Deployed

KEYS: dict[str, Any] = {
    "domain": "example.org",
    "extra_domains": "example.net",
    "ts_tailnet": "tail1234.ts.net",
    "stalwart_admin_password": "an administrator's own words",
    "webhook_key": "a key of its own",
    "webhook_token": "a token of its own",
    "offline": True,
}

# Declared accounts have a quota or none: this one is managed with or without the key.
QUOTA: dict[str, Any] = {"mailbox_limits": {"mailbox": "5G"}}


def given(**data: Any) -> MailboxSettings:
    """Settings of one installation with these terms; alice has no declared password."""
    accounts = {"mailbox_accounts": [{"address": "alice"}]}
    return from_environment(Environment.model_validate(KEYS), {**accounts, **data})


def test_the_sample_has_every_key_of_every_topic() -> None:
    assert EVERY_TERM.keys() == Terms.model_fields.keys()
    terms = given(**EVERY_TERM).terms
    for name in Terms.model_fields:
        value = getattr(terms, name)
        for model in value.values() if isinstance(value, dict) else [value]:
            if hasattr(model, "model_fields_set") and name not in {"mailbox_directory", "mailbox_webhooks"}:
                left_out = type(model).model_fields.keys() - model.model_fields_set - {"cipher", "learn_spam"}
                assert not left_out, (name, left_out)


@pytest.mark.parametrize("version", schemas.versions())
@pytest.mark.parametrize("data", [EVERY_TERM, OIDC], ids=["every", "oidc"])
def test_every_object_is_one_of_the_schema(version: str, data: dict[str, Any]) -> None:
    schema = schemas.schema(version)
    for item in desired(given(**data)):
        if not KINDS[item.kind].on_demand and item.kind not in {"Domain", "Account", "NetworkListener"}:
            continue
        creating = KINDS[item.kind].on_demand and not KINDS[item.kind].singleton
        values = {**item.at_creation, **item.fields} if creating else item.fields
        document = encode({placed(path, {}): value for path, value in values.items()}, lambda ref: ref.key)
        live = {"@type": item.at_creation.get("@type", "User")}
        found = problems(schema, item.kind, document, creating=creating, live=live)
        assert not [problem.message() for problem in found], item.ref


def test_a_second_plan_is_empty_and_an_unset_key_manages_nothing() -> None:
    deployed = Deployed(given(**EVERY_TERM))
    assert not deployed.plan(given(**EVERY_TERM)), render(deployed.plan(given(**EVERY_TERM)).document(deployed.read()))
    assert not deployed.plan(given(**QUOTA)), "what is there stays when its key is gone"


def test_an_empty_key_removes_what_is_ours_and_nothing_else() -> None:
    deployed = Deployed(given(**EVERY_TERM))
    foreign = deployed.server.add("WebHook", {"url": "https://theirs.example.net/hook"})
    deployed.server.add("SpamTag", {"@type": "Score", "tag": "THEIRS", "score": 1})
    planned = deployed.plan(
        given(**QUOTA, mailbox_webhooks={}, mailbox_spam={}, mailbox_rates={}, mailbox_user_sieve={})
    )
    deleted = {item.ref.kind: item for item in planned.changes if item.action is Action.DELETE}
    assert deleted.keys() == {
        "WebHook", "SpamTag", "SpamRule", "SpamDnsblServer", "MtaInboundThrottle", "MtaOutboundThrottle",
        "SieveUserScript",
    }  # fmt: skip
    assert not {foreign} & {item.object_id for item in planned.changes}
    assert all(item.action is Action.DELETE for item in planned.changes)
    assert "not in group_data/mailbox.py any more" in render(planned.document(deployed.read()))


def test_a_system_script_leaves_its_stage_before_it_is_deleted() -> None:
    deployed = Deployed(given(**EVERY_TERM))
    planned = deployed.plan(given(**QUOTA, mailbox_system_sieve={}))
    assert [(item.action, item.ref) for item in planned.changes] == [
        (Action.UPDATE, Ref("MtaStageData", "singleton")),
        (Action.DELETE, Ref("SieveSystemScript", "tailwart-data")),
    ]


def test_a_default_limit_of_the_server_is_changed_and_restored_but_never_deleted() -> None:
    deployed = Deployed(given())
    own = {"description": "Sender IP throttle", "rate": {"count": 5, "period": 1000}, "enable": True}
    deployed.server.add("MtaInboundThrottle", own)
    deployed.apply(given(mailbox_rates={"from_address": "50/1s"}))
    (held,) = deployed.server.objects["MtaInboundThrottle"].values()
    assert held["rate"] == {"count": 50, "period": 1000}
    deployed.apply(given(mailbox_rates={"from_address": None}))
    (held,) = deployed.server.objects["MtaInboundThrottle"].values()
    assert held["rate"] == {"count": 5, "period": 1000}


def test_a_password_that_is_limited_to_networks_stays_so_when_it_changes() -> None:
    limited = {"mailbox_sign_in": {"passwords_from": {"alice": ["tailnet"]}}}
    first = dict(KEYS, accounts=[{"name": "alice", "password": "alice's own words"}])
    deployed = Deployed(from_environment(Environment.model_validate(first), limited))

    def alice() -> dict[str, Any]:
        (held,) = (item for item in deployed.server.objects["Account"].values() if item["name"] == "alice")
        return dict(held["credentials"]["0"])

    assert set(alice()["allowedIps"]) == {"100.64.0.0/10", "fd7a:115c:a1e0::/48", "127.0.0.1", "::1"}
    changed = dict(KEYS, accounts=[{"name": "alice", "password": "quite another password"}])
    deployed.apply(from_environment(Environment.model_validate(changed), limited))
    assert alice()["secret"].endswith("quite another password")
    assert "100.64.0.0/10" in alice()["allowedIps"]
    lifted = from_environment(
        Environment.model_validate(changed), {"mailbox_sign_in": {"passwords_from": {"everyone": None}}}
    )
    deployed.apply(lifted)
    assert alice()["allowedIps"] == {}


def test_secrets_are_references_and_never_in_a_plan() -> None:
    settings = given(**EVERY_TERM)
    (hook,) = (item for item in desired(settings) if item.kind == "WebHook")
    assert hook.fields["signatureKey"] == {"@type": "EnvironmentVariable", "variableName": "STALWART_WEBHOOK_KEY"}
    text = render(Deployed().plan(settings).document(Deployed().read()))
    assert "of its own" not in text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"mailbox_spam": {"junk_abov": 4}}, r"mailbox_spam\['junk_abov'\]: no such key; did you mean junk_above"),
        ({"mailbox_spam": {"reject_above": "x"}}, r"mailbox_spam\['reject_above'\] = 'x': expected a number from 0.1"),
        ({"mailbox_spam": {"trusted_senders": ["it's"]}}, "an address such as bob@example.com"),
        ({"mailbox_spam": {"blocklists": {"zen": {"zone": "zen.example.net"}}}}, r"\['zen'\]\['score'\]: missing"),
        ({"mailbox_spam": {"blocklists": {"zen": {"zone": "a.b", "score": 1, "answers": ["1.2.3.4"]}}}}, "127.0.0.0/8"),
        ({"mailbox_limits": {"message": "5X"}}, "a size in bytes, or with K, M, G or T"),
        ({"mailbox_limits": "5M"}, "mailbox_limits = '5M': expected a mapping of keys"),
        ({"mailbox_retention": {"trash_and_junk": 30}}, "30d"),
        ({"mailbox_retention": {"at": "24:00"}}, "a time of day such as 03:30"),
        ({"mailbox_system_sieve": {"dat": "keep;"}}, "'connect', 'ehlo', 'mail', 'rcpt' or 'data'"),
        ({"mailbox_user_sieve": {"x": Path("missing.sieve")}}, r"missing.sieve: FileNotFoundError"),
        ({"mailbox_sign_in": {"passwords_from": {"alice": ["tailnett"]}}}, "or the word \"tailnet\""),
        ({"mailbox_sign_in": {"passwords_from": {"nobody": ["tailnet"]}}}, "nobody@example.org is not a declared"),
        ({"mailbox_rates": {"per_account": "200"}}, "such as 5/1s or 200/1h"),
        ({"mailbox_webhooks": {"a": {"url": "https://x.example", "events": ["attack"]}}}, "did you mean attacks"),
        ({"mailbox_webhooks": {"A B": {"url": "https://x.example", "events": []}}}, "a short name"),
        ({"mailbox_tls": {"clients": "1.1"}}, "'1.2' or '1.3'"),
        ({"mailbox_tls": {"without_ciphers": ["TLS_AES_128_GCM_SHA265"]}}, "did you mean TLS_AES_128_GCM_SHA256"),
        (
            {"mailbox_tls": {"without_ciphers": [
                "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
            ]}},
            "at least one of the TLS 1.3 ciphers left",
        ),
        ({"mailbox_resolver": {"use": "own"}}, '"servers" with "use": "own"'),
        ({"mailbox_resolver": {"use": "own", "servers": ["dns.example.net"]}}, "an address such as 192.0.2.53"),
        ({"mailbox_encryption": {"alice": {"key": "-----BEGIN PGP PRIVATE KEY BLOCK-----"}}}, "holds a private one"),
        ({"mailbox_domains": {"elsewhere.org": {}}}, "not a domain of this server"),
        ({"mailbox_domains": {"example.org": {"catch_all": "nobody"}}}, "its mail would bounce"),
        ({"mailbox_directory": {"ldap": {"url": "http://x", "base_dn": "dc=x"}}}, "ldap://host:389"),
        ({"mailbox_directory": {"ldap": {"url": "ldap://x", "base_dn": "dc=x", "bind_dn": "cn=x"}}}, "LDAP_BIND_PASS"),
        ({"mailbox_reports": {"organisation": "O'Hara"}}, "a name without quotes"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_what_is_allowed(data: dict[str, Any], message: str) -> None:
    with pytest.raises(TailwartError, match=message):
        given(**data)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(TailwartError, match=r"2 problems[^§]*mailbox_rates[^§]*mailbox_tls") as caught:
        given(mailbox_tls={"clients": 1}, mailbox_rates={"per_account": 5})
    assert "docs/recipes.md" in caught.value.remedy


def test_a_separator_that_would_cut_a_declared_name_is_refused() -> None:
    accounts = [{"address": "alice"}, {"address": "mary-ann"}]
    with pytest.raises(TailwartError, match=r"mary-ann@example\.org would lose its mail"):
        given(mailbox_accounts=accounts, mailbox_domains={"example.org": {"sub_addressing": "-"}})


def test_an_unknown_name_of_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mailbox.py"
    path.write_text("mailbox_spamm = {}\n")
    with pytest.raises(TailwartError, match="mailbox_spamm; did you mean mailbox_spam"):
        declared(Environment.model_validate(KEYS), path)


def test_the_file_shows_every_name() -> None:
    text = (Path(__file__).parents[3] / "group_data" / "mailbox.py").read_text()
    assert not [name for name in NAMES if name not in text and name != "mailbox_optional_listeners"]


def test_a_mark_is_on_everything_that_a_plan_may_delete() -> None:
    for item in desired(given(**EVERY_TERM)):
        kind = KINDS[item.kind]
        if (
            kind.retirable
            and kind.on_demand
            and item.key != "Sender IP throttle"
            and not item.key.startswith("Sender ")
        ):
            marks = str({**item.at_creation}) + item.key
            assert MARK in marks.lower(), item.ref
