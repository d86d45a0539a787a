"""The policy API's contract (https://tailscale.com/api), tested against a real headscale."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import ClassVar

import pytest

from tests.unit.fake_policy.conftest import API_KEY, CLIENT, READER, Api, Running

COMMENTED = """// mine
{
	"tagOwners": {"tag:a": ["autogroup:admin"], /* why */ "tag:b": ["owner@"]},
	"grants": [
		{"src": ["tag:a"], "dst": ["tag:b"], "ip": ["tcp:25"]}, // the only way in
	],
	"tests": [
		{"src": "tag:a", "accept": ["tag:b:25"], "deny": ["tag:b:26"]},
	],
}
"""


def test_a_pushed_text_comes_back_byte_for_byte(api: Api) -> None:
    assert api.push(COMMENTED).status_code == 200
    read = api.read()
    assert read.content.decode() == COMMENTED
    assert read.headers["Content-Type"].startswith("application/hujson")


def test_etag_is_a_quoted_sha256_that_changes_with_the_text(api: Api) -> None:
    api.push(COMMENTED)
    first = api.read().headers["ETag"]
    assert first == f'"{hashlib.sha256(COMMENTED.encode()).hexdigest()}"'
    assert api.push(COMMENTED + "// more\n").headers["ETag"] != first


def test_json_has_no_comments_but_the_same_meaning(api: Api) -> None:
    api.push(COMMENTED)
    answer = api.call("GET", "/api/v2/tailnet/-/acl", headers={"Accept": "application/json"})
    assert answer.json()["grants"] == [{"src": ["tag:a"], "dst": ["tag:b"], "ip": ["tcp:25"]}]
    assert "only way" not in answer.text
    assert answer.headers["ETag"] == api.read().headers["ETag"]


def test_headscale_holds_a_text_it_understands_as_it_was_pushed(api: Api, headscale: Running) -> None:
    text = '// kept\n{"tagOwners": {"tag:a": ["owner@"]},}\n'
    api.push(text)
    assert headscale.command("policy", "get") == text.strip()


def test_headscale_enforces_what_it_could_not_take_literally(api: Api, headscale: Running) -> None:
    api.push(COMMENTED)
    stored = headscale.command("policy", "get")
    assert '"tcp:25"' in stored
    assert "owner@" in stored


def test_a_policy_set_on_headscale_itself_is_seen(api: Api, headscale: Running, tmp_path: Path) -> None:
    api.push(COMMENTED)
    other = tmp_path / "p.hujson"
    other.write_text('{"acls": []} // by hand\n')
    headscale.command("policy", "set", "--file", str(other))
    assert "by hand" in api.read().text


class TestPrecondition:
    def test_matching_etag_writes(self, api: Api) -> None:
        api.push(COMMENTED)
        assert api.push('{"grants": []}', If_Match=api.read().headers["ETag"]).status_code == 200

    def test_stale_etag_is_412_and_writes_nothing(self, api: Api) -> None:
        api.push(COMMENTED)
        stale = api.read().headers["ETag"]
        api.push(COMMENTED + "// theirs\n")
        refused = api.push('{"grants": []}', If_Match=stale)
        assert (refused.status_code, refused.json()) == (412, {"message": "precondition failed, invalid old hash"})
        assert api.read().text == COMMENTED + "// theirs\n"

    def test_without_if_match_it_overwrites_blindly(self, api: Api) -> None:
        api.push(COMMENTED)
        assert api.push('{"grants": []}').status_code == 200


class TestRefusals:
    def test_failing_tests_are_400_with_user_and_errors_and_write_nothing(self, api: Api) -> None:
        api.push(COMMENTED)
        wrong = COMMENTED.replace('"deny": ["tag:b:26"]', '"deny": ["tag:b:25"]')
        refused = api.push(wrong)
        assert refused.status_code == 400
        error = 'address "tag:b:25": want: Drop, got: Accept'
        assert refused.json() == {"message": "test(s) failed", "data": [{"user": "tag:a", "errors": [error]}]}
        assert api.read().text == COMMENTED

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ("{", "line 1"),
            ('{"grants": [1,,2]}', "line 1"),
            ('{"grantz": []}', "grantz"),
            ('{"acls": [], "acls": []}', "duplicate"),
            ('{"grants": [{"src": ["tag:unknown"], "dst": ["*"], "ip": ["*"]}]}', "tag:unknown"),
            ('{"grants": {"src": "*"}}', ""),
            ("[]", "object"),
            ("", "line 1"),
        ],
    )
    def test_a_broken_file_is_400_with_a_message(self, api: Api, text: str, word: str) -> None:
        refused = api.push(text)
        assert refused.status_code == 400
        assert word in refused.json()["message"]


class TestValidate:
    def test_a_good_policy_is_200_and_empty(self, api: Api) -> None:
        answer = api.validate(COMMENTED)
        assert (answer.status_code, answer.json()) == (200, {})

    def test_a_failure_is_200_with_message_and_data(self, api: Api) -> None:
        answer = api.validate(COMMENTED.replace("tag:b:25", "tag:b:99"))
        assert answer.status_code == 200
        assert answer.json()["data"] == [{"user": "tag:a", "errors": ['address "tag:b:99": want: Accept, got: Drop']}]

    def test_broken_syntax_is_200_with_a_message(self, api: Api) -> None:
        answer = api.validate('{"acls": ')
        assert answer.status_code == 200
        assert answer.json()["message"]

    def test_a_list_of_tests_runs_against_the_live_policy(self, api: Api) -> None:
        api.push(COMMENTED)
        good, bad = [{"src": "tag:a", "accept": ["tag:b:25"]}], [{"src": "tag:b", "accept": ["tag:a:25"]}]
        assert api.validate(json.dumps(good)).json() == {}
        assert api.validate(json.dumps(bad)).json()["data"][0]["user"] == "tag:b"

    def test_it_writes_nothing(self, api: Api) -> None:
        api.push(COMMENTED)
        api.validate('{"grants": []}')
        assert api.read().text == COMMENTED


class TestCredentials:
    def test_client_credentials_give_a_token_for_an_hour(self, api: Api) -> None:
        document = api.token(CLIENT).json()
        assert document["expires_in"] == 3600
        assert document["token_type"] == "Bearer"
        bearer = {"Authorization": f"Bearer {document['access_token']}"}
        assert api.call("GET", "/api/v2/tailnet/-/acl", headers=bearer).status_code == 200

    def test_client_credentials_by_basic_authentication(self, api: Api) -> None:
        answer = api.session.post(api.url + "/api/v2/oauth/token", auth=(CLIENT.id, CLIENT.secret), timeout=10)
        assert answer.status_code == 200

    def test_api_key_by_basic_authentication(self, api: Api) -> None:
        url = api.url + "/api/v2/tailnet/-/acl"
        assert api.session.get(url, auth=(API_KEY, ""), timeout=10).status_code == 200

    def test_a_wrong_secret_is_401(self, api: Api) -> None:
        refused = api.token(CLIENT, client_secret="wrong")
        assert (refused.status_code, refused.json()) == (401, {"message": "API token invalid"})

    @pytest.mark.parametrize("header", ["", "Bearer nothing", "Basic bm9ib2R5Og=="])
    def test_a_wrong_token_is_401(self, api: Api, header: str) -> None:
        assert api.call("GET", "/api/v2/tailnet/-/acl", headers={"Authorization": header}).status_code == 401

    def test_a_missing_scope_is_403(self, api: Api) -> None:
        bearer = {"Authorization": "Bearer " + api.token(READER).json()["access_token"]}
        assert api.call("GET", "/api/v2/tailnet/-/acl", headers=bearer).status_code == 200
        assert api.call("POST", "/api/v2/tailnet/-/acl", headers=bearer, data="{}").status_code == 403
        assert api.call("GET", "/api/v2/tailnet/-/devices", headers=bearer).status_code == 403

    def test_the_tailnet_is_known_by_name_and_by_dash_only(self, api: Api) -> None:
        assert api.call("GET", "/api/v2/tailnet/tailnet.test/acl").status_code == 200
        assert api.call("GET", "/api/v2/tailnet/other.ts.net/acl").status_code == 404


class TestKeys:
    REQUEST: ClassVar = {
        "capabilities": {"devices": {"create": {"reusable": True, "ephemeral": True, "tags": ["tag:mail"]}}}
    }

    def test_a_created_key_works_in_headscale_and_shows_its_tags(self, api: Api, headscale: Running) -> None:
        bearer = {"Authorization": "Bearer " + api.token(CLIENT).json()["access_token"]}
        minted = api.call("POST", "/api/v2/tailnet/-/keys", headers=bearer, json=self.REQUEST).json()
        assert minted["key"].startswith(f"hskey-auth-{minted['id']}-")
        read = api.call("GET", f"/api/v2/tailnet/-/keys/{minted['id']}").json()
        assert read["capabilities"]["devices"]["create"]["tags"] == ["tag:mail"]
        assert "key" not in read
        assert minted["id"] in headscale.command("preauthkeys", "list", "--output", "json")

    def test_an_oauth_client_mints_only_its_own_tags(self, api: Api) -> None:
        bearer = {"Authorization": "Bearer " + api.token(CLIENT).json()["access_token"]}
        others = {"capabilities": {"devices": {"create": {"tags": ["tag:stalwart"]}}}}
        refused = api.call("POST", "/api/v2/tailnet/-/keys", headers=bearer, json=others)
        assert refused.status_code == 400
        assert "tag:stalwart" in refused.json()["message"]
        assert api.call("POST", "/api/v2/tailnet/-/keys", headers=bearer, json={}).status_code == 400

    def test_an_oauth_client_is_listed_with_scopes_and_tags(self, api: Api) -> None:
        document = api.call("GET", f"/api/v2/tailnet/-/keys/{CLIENT.id}").json()
        assert (document["keyType"], document["tags"]) == ("client", ["tag:mail"])
        assert "policy_file" in document["scopes"]

    def test_an_unknown_key_is_404(self, api: Api) -> None:
        assert api.call("GET", "/api/v2/tailnet/-/keys/kNone").status_code == 404


def test_devices_are_headscales_nodes(api: Api) -> None:
    assert api.call("GET", "/api/v2/tailnet/-/devices").json() == {"devices": []}
    assert api.call("GET", "/api/v2/device/77").status_code == 404
