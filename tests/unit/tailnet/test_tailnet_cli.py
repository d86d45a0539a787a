"""`tailwart tailnet` as a user runs it, against a served API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tailwart.cli.tailnet import tailnet
from tailwart.errors import TailwartError
from tailwart.tailnet.hujson import Document, value
from tests.unit.tailnet.policies import DEFAULT_POLICY, without
from tests.unit.tailnet.policy_api import CREDENTIALS, PolicyApi, serving

CLIENT_KEY = {"keyType": "client", "scopes": ["policy_file", "auth_keys"], "tags": ["tag:stalwart"]}


@pytest.fixture
def api() -> Iterator[PolicyApi]:
    with serving(DEFAULT_POLICY, keys={"kClient": CLIENT_KEY}) as served:
        yield served


@pytest.fixture(autouse=True)
def project(api: PolicyApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_env(tmp_path, api)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TAILWART_ENV", raising=False)
    return tmp_path


def write_env(directory: Path, api: PolicyApi, **more: str) -> None:
    settings = {
        "DOMAIN": "example.org",
        "TS_TAILNET": "tail1234.ts.net",
        "TS_API_URL": api.url,
        "TS_OAUTH_CLIENT_ID": "kClient",
        "TS_OAUTH_CLIENT_SECRET": CREDENTIALS.client_secret,
        **more,
    }
    path = directory / ".env"
    path.touch(mode=0o600)
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(tailnet, arguments, input=answer)


def test_plan_shows_the_diff_and_writes_nothing(api: PolicyApi) -> None:
    result = run("plan")
    assert result.exit_code == 0
    assert "grant edge-to-mailbox" in result.output
    assert "+\t\t\t/* tailwart:example.org/edge-to-mailbox */\n" in result.output
    assert "Next: tailwart tailnet apply" in result.output
    assert api.writes == 0
    assert run("plan", "--exit-code").exit_code == 2


def test_plan_as_json_is_json_alone() -> None:
    document = json.loads(run("plan", "--json").stdout)
    assert {"plane", "changes", "warnings", "diff"} <= set(document)


def test_apply_asks_and_no_means_no(api: PolicyApi) -> None:
    result = run("apply", answer="n\n")
    assert result.exit_code == 1
    assert api.writes == 0


def test_apply_then_plan_shows_no_changes(api: PolicyApi) -> None:
    assert run("apply", "--yes").exit_code == 0
    result = run("plan", "--exit-code")
    assert (result.exit_code, api.writes) == (0, 1)
    assert "no changes" in result.output


def test_remove_takes_out_managed_entries_and_nothing_else(api: PolicyApi) -> None:
    run("apply", "--yes")
    assert run("apply", "--yes", "--remove").exit_code == 0
    assert api.text == DEFAULT_POLICY


def test_test_fails_until_the_wide_rule_is_acknowledged(api: PolicyApi, project: Path) -> None:
    run("apply", "--yes")
    result = run("test")
    assert result.exit_code == 1
    assert "wide unmanaged rule: line 10" in result.output
    write_env(project, api, TS_ACKNOWLEDGED="*->*")
    result = run("test")
    assert result.exit_code == 0, result.output
    assert all(finding["problem"] == "" for finding in json.loads(run("test", "--json").stdout))


def test_test_names_drift(api: PolicyApi) -> None:
    run("apply", "--yes")
    api.text = without(api.text, "edge-to-mailbox")
    result = run("test")
    assert result.exit_code == 1
    assert "grant edge-to-mailbox: to create: the edge cannot deliver" in result.output


def test_restore_lists_shows_the_diff_and_puts_back(api: PolicyApi) -> None:
    assert "No snapshot" in run("restore").output
    run("apply", "--yes")
    name = run("restore").output.split()[0]
    assert name.endswith(".hujson")
    result = run("restore", name[:20], "--yes")
    assert result.exit_code == 0, result.output
    assert "-\t\t\t/* tailwart:example.org/edge-to-mailbox */\n" in result.output
    assert api.text == DEFAULT_POLICY
    assert "already" in run("restore", name).output


def test_restore_of_an_unknown_snapshot_says_what_there_is() -> None:
    result = run("restore", "nonsense")
    assert isinstance(result.exception, TailwartError)
    assert "nonsense" in str(result.exception)


def test_the_help_names_every_command() -> None:
    text = run("--help").output
    for command in ("plan", "apply", "test", "restore", "matrix"):
        assert command in text


def test_without_a_credential_the_setting_is_named(api: PolicyApi, project: Path) -> None:
    write_env(project, api, TS_OAUTH_CLIENT_ID="", TS_OAUTH_CLIENT_SECRET="")
    result = run("plan")
    assert isinstance(result.exception, TailwartError)
    assert "TS_OAUTH_CLIENT_ID" in str(result.exception)


def test_remove_offers_entries_that_have_lost_their_marks(api: PolicyApi) -> None:
    run("apply", "--yes")
    root = Document(api.text).root
    assert root is not None
    api.text = stripped = json.dumps(value(root), indent=2)
    for arguments in (("plan", "--remove"), ("apply", "--remove", "--yes")):
        refused = run(*arguments)
        assert isinstance(refused.exception, TailwartError)
        assert "--remove --unmarked" in str(refused.exception)
    declined = run("apply", "--remove", answer="n\n")
    assert "edge-to-mailbox" in declined.output
    assert isinstance(declined.exception, TailwartError)
    assert api.text == stripped
    assert run("apply", "--remove", answer="y\ny\n").exit_code == 0
    assert "tag:" not in api.text
    assert run("plan", "--remove").output.startswith("tailnet: no changes")
