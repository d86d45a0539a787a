"""A policy that is kept in a repository: planned and merged as a file, with annotations, and never pushed past it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tailwart.cli.tailnet import tailnet
from tailwart.errors import TailwartError
from tailwart.printing import say
from tests.unit.tailnet.policies import DEFAULT_POLICY
from tests.unit.tailnet.policy_api import CREDENTIALS, PolicyApi, serving

LINK = "https://git.example.org/ops/tailnet"
LOCKED = {"aclsExternallyManagedOn": True, "aclsExternalLink": LINK}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings without any credential: a pull request has none."""
    write_env(tmp_path)
    (tmp_path / "policy.hujson").write_text(DEFAULT_POLICY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TAILWART_ENV", raising=False)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return tmp_path


def write_env(directory: Path, **more: str) -> None:
    path = directory / ".env"
    path.touch(mode=0o600)
    settings = {"DOMAIN": "example.org", "TS_TAILNET": "tail1234.ts.net", **more}
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(tailnet, arguments, input=given)


def test_a_file_is_planned_and_written_without_an_api(project: Path) -> None:
    path = project / "policy.hujson"
    path.chmod(0o640)
    assert run("plan", "--file", "policy.hujson", "--exit-code").exit_code == 2
    assert path.read_text() == DEFAULT_POLICY
    assert run("apply", "--file", "policy.hujson", given="n\n").exit_code == 1
    assert path.read_text() == DEFAULT_POLICY
    result = run("apply", "--file", "policy.hujson", "--yes")
    assert result.exit_code == 0, result.output
    assert "edge-to-mailbox" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in project.iterdir() if "policy" in entry.name] == ["policy.hujson"]
    assert run("plan", "--file", "policy.hujson", "--exit-code").exit_code == 0
    assert run("apply", "--file", "policy.hujson", "--yes", "--remove").exit_code == 0
    assert path.read_text() == DEFAULT_POLICY


@pytest.mark.parametrize("policy", [DEFAULT_POLICY, DEFAULT_POLICY.replace("\n", "\r\n"), "// \u2028 \x9b\n{}\r\n"])
def test_standard_input_to_standard_output_byte_by_byte(project: Path, policy: str) -> None:
    command = [sys.executable, "-c", "from tailwart.cli import main; main()", "tailnet", "apply", "--file", "-"]
    once = subprocess.run(command, input=policy.encode(), capture_output=True, check=True, timeout=60)
    assert b"edge-to-mailbox" in once.stdout
    assert b"grant edge-to-mailbox" in once.stderr
    again = subprocess.run(command, input=once.stdout, capture_output=True, check=True, timeout=60)
    assert again.stdout == once.stdout
    back = subprocess.run([*command, "--remove"], input=once.stdout, capture_output=True, check=True, timeout=60)
    assert back.stdout == policy.encode()


def test_a_filter_prints_nothing_for_a_policy_that_it_refuses() -> None:
    result = run("apply", "--file", "-", given="{ nonsense")
    assert isinstance(result.exception, TailwartError)
    assert result.stdout == ""


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_cannot_be_read_is_named(project: Path, content: bytes | None) -> None:
    if content is not None:
        (project / "other.hujson").write_bytes(content)
    result = run("plan", "--file", "other.hujson")
    assert isinstance(result.exception, TailwartError)
    assert "other.hujson" in str(result.exception)


def test_annotations_name_file_and_line(project: Path) -> None:
    result = run("plan", "--file", "policy.hujson", "--annotate", "--exit-code", "--no-diff")
    lines = result.stderr.splitlines()
    assert any(line.startswith("::error file=policy.hujson,line=7::grant edge-to-mailbox to create") for line in lines)
    assert any(line.startswith("::warning file=policy.hujson,line=10::line 10 (grants): *->*") for line in lines)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "grants": [\n    {"src": x}\n]}', "line=3,col=13"),
        ('{\n\n"grants": {}}', "line=3"),
        ('{"grants": [],\n"Grants": []}', "line=2"),
        ('{"tagOwners": {\n"tag:stalwart": ["group:x"]}}', "line=2"),
    ],
)
def test_in_github_actions_a_refused_policy_is_annotated_too(
    project: Path, monkeypatch: pytest.MonkeyPatch, text: str, place: str
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (project / "policy.hujson").write_text(text)
    result = run("plan", "--file", "policy.hujson")
    assert isinstance(result.exception, TailwartError)
    assert f"::error file=policy.hujson,{place}::" in result.stderr


def test_no_text_of_others_is_a_command_to_the_runner(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    say(" ::stop-commands::x\nb ##[command]y\n+::warning::z\n::error::w")
    shown = capsys.readouterr().out
    assert shown == " \\u003a:stop-commands::x\nb \\u0023#[command]y\n+::warning::z\n\\u003a:error::w\n"
    (project / "policy.hujson").write_text('{"tagOwners": {"tag:stalwart": ["a\\n::add-mask::b"]}}')
    lines = run("plan", "--file", "policy.hujson").stderr.splitlines()
    assert [line for line in lines if line.lstrip().startswith("::")] == [lines[0]]
    assert lines[0].startswith("::error file=policy.hujson,line=1::Line 1")


@pytest.fixture
def api(project: Path) -> Iterator[PolicyApi]:
    with serving(DEFAULT_POLICY, settings=LOCKED) as served:
        write_env(
            project,
            TS_API_URL=served.url,
            TS_OAUTH_CLIENT_ID="kClient",
            TS_OAUTH_CLIENT_SECRET=CREDENTIALS.client_secret,
        )
        yield served


def test_a_policy_that_the_api_calls_managed_elsewhere_is_not_pushed(api: PolicyApi, project: Path) -> None:
    for arguments in (("plan",), ("apply", "--yes"), ("apply", "--yes", "--remove", "--unmarked")):
        if "--remove" in arguments:
            api.text = json.dumps({"grants": [{"src": ["tag:stalwart"], "dst": ["tag:stalwart"], "ip": ["*"]}]})
        result = run(*arguments)
        assert isinstance(result.exception, TailwartError), result.output
        assert LINK in str(result.exception)
        assert "tailwart tailnet apply --file" in str(result.exception)
    assert api.writes == 0


def test_the_place_that_pushes_says_so_itself(api: PolicyApi, project: Path) -> None:
    settings = (project / ".env").read_text()
    (project / ".env").write_text(f"{settings}TS_ACKNOWLEDGED=managed:{LINK}\n")
    assert run("apply", "--yes").exit_code == 0
    assert api.writes == 1


@pytest.mark.parametrize("settings", [None, {}, {"aclsExternallyManagedOn": False, "aclsExternalLink": LINK}])
def test_an_api_that_says_nothing_of_the_kind_is_pushed_to(api: PolicyApi, settings: dict[str, object] | None) -> None:
    api.settings = settings
    assert run("apply", "--yes").exit_code == 0
    assert api.writes == 1


def test_a_comment_that_says_where_the_policy_is_kept_counts_too(api: PolicyApi) -> None:
    api.settings = {}
    api.text = f"// This tailnet's ACLs are maintained in {LINK}\n{DEFAULT_POLICY}"
    result = run("apply", "--yes")
    assert isinstance(result.exception, TailwartError)
    assert f"{LINK}, says the comment in line 1" in str(result.exception)
    assert api.writes == 0


def test_a_snapshot_is_not_restored_over_it(api: PolicyApi, project: Path) -> None:
    (project / "old.hujson").write_text("{}")
    result = run("restore", "old.hujson", "--yes")
    assert isinstance(result.exception, TailwartError)
    assert LINK in str(result.exception)
    assert api.text == DEFAULT_POLICY


def test_what_needs_no_change_is_no_problem(api: PolicyApi) -> None:
    api.settings = {}
    assert run("apply", "--yes").exit_code == 0
    api.settings = LOCKED
    assert run("plan", "--exit-code").exit_code == 0


def test_warnings_of_the_server_are_shown(api: PolicyApi) -> None:
    api.settings = {}
    note = {"message": "warning(s) found", "data": [{"user": "group:a", "warnings": ["not synced"]}]}
    api.verdict = lambda _: note
    assert "! the server warns: not synced" in run("plan").output
    assert "the server warns: not synced" in run("test").output
    assert "::warning::not synced" in run("plan", "--annotate").stderr


def test_the_file_of_the_repository_and_the_live_one_are_merged_alike(project: Path, api: PolicyApi) -> None:
    api.settings = {}
    assert run("apply", "--yes").exit_code == 0
    assert run("apply", "--yes", "--file", "policy.hujson").exit_code == 0
    assert (project / "policy.hujson").read_text() == api.text


@pytest.mark.parametrize("text", ['{"grants": 3}', '{"grants": [], "Grants": []}'])
def test_what_is_wrong_in_a_file_is_not_to_be_corrected_in_the_admin_console(project: Path, text: str) -> None:
    (project / "policy.hujson").write_text(text)
    refused = run("plan", "--file", "policy.hujson").exception
    assert isinstance(refused, TailwartError)
    assert "admin console" not in str(refused)
    assert "remedy" in str(refused)
