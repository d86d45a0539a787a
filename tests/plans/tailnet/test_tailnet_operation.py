"""The tailnet role through pyinfra itself: dry runs are real and write nothing, a failing API fails its own host."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plans.through_pyinfra import pyinfra
from tests.unit.tailnet.policy_api import CREDENTIALS, TOKEN, PolicyApi, serving

POLICY = '{\n\t// mine\n\t"grants": [\n\t\t{"src": ["group:a"], "dst": ["tag:x"], "ip": ["tcp:22"]},\n\t],\n}\n'
INVENTORY = """
from tailwart.environment import Environment
environment = Environment.model_validate({
    "domain": "example.org", "ts_tailnet": "tail1234.ts.net", "ts_api_url": URL,
    "ts_oauth_client_id": "kClient", "ts_oauth_client_secret": SECRET, "smarthost_address": "100.64.0.10",
})
tailnet = [("@plane/tailnet", {"environment": environment})]
others = ["@plane/other"]
"""
DEPLOY = """
from pyinfra import host
from pyinfra.operations import server
from tasks import tailnet
if "tailnet" in host.groups:
    tailnet.deploy()
if "others" in host.groups:
    server.shell(name="Another role", commands=["touch finished"])
"""


@pytest.fixture
def api() -> Iterator[PolicyApi]:
    with serving(POLICY) as served:
        yield served


class Project:
    """A deploy of two roles in a directory of its own: the tailnet's, and one that writes a file."""

    def __init__(self, directory: Path, api: PolicyApi) -> None:
        self.directory = directory
        values = f"URL = {api.url!r}\nSECRET = {CREDENTIALS.client_secret!r}\n"
        (directory / "inventory.py").write_text(values + INVENTORY)
        (directory / "deploy.py").write_text(DEPLOY)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """pyinfra in that directory."""
        return pyinfra(self.directory, "deploy.py", *options)

    @property
    def other_role_finished(self) -> bool:
        """Whether the healthy role of the same run was carried out."""
        return (self.directory / "finished").exists()


@pytest.fixture
def project(tmp_path: Path, api: PolicyApi) -> Project:
    return Project(tmp_path, api)


def test_a_dry_run_shows_plan_and_diff_and_writes_nothing(project: Project, api: PolicyApi) -> None:
    result = project.run("--dry", "--diff")
    assert result.returncode == 0
    assert "grant mailbox-to-smarthost" in result.stderr
    assert "+\t\t\t/* tailwart:example.org/edge-to-mailbox */\n" in result.stderr
    assert '+\t\t\t"src": ["tag:reverse-proxy"],\n' in result.stderr
    assert (api.writes, api.text) == (0, POLICY)
    assert not (project.directory / "_backup").exists()


def test_the_second_run_changes_nothing(project: Project, api: PolicyApi) -> None:
    assert project.run("-y", "--limit", "tailnet").returncode == 0
    assert api.writes == 1
    again = project.run("-y", "--limit", "tailnet")
    assert again.returncode == 0
    assert "No changes" in again.stderr
    assert api.writes == 1
    planned = json.loads(project.run("--dry", "--json", "--limit", "tailnet").stdout)
    (operation,) = planned["plan"]
    assert (operation["hosts_with_change"], operation["hosts_with_conditional_change"]) == ([], [])


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_failing_api_fails_its_host_alone(project: Project, api: PolicyApi, status: int) -> None:
    api.fault("status", status=status)
    result = project.run("-y")
    assert result.returncode == 1
    assert project.other_role_finished
    assert "remedy:" in result.stderr
    assert "Traceback" not in result.stderr
    assert api.writes == 0


def test_a_failing_api_fails_a_dry_run_too(project: Project, api: PolicyApi) -> None:
    api.fault("status", status=401)
    result = project.run("--dry")
    assert result.returncode == 1
    assert "renew TS_OAUTH_CLIENT_SECRET" in result.stderr


def test_a_refused_policy_fails_the_run_after_its_plan(project: Project, api: PolicyApi) -> None:
    api.verdict = lambda _: {"message": "test(s) failed", "data": [{"user": "group:a", "errors": ["no"]}]}
    result = project.run("-y")
    assert result.returncode == 1
    assert "failed the validation" in result.stderr
    assert (api.writes, project.other_role_finished) == (0, True)


@pytest.mark.parametrize("options", [("-y", "-vvv", "--diff"), ("--dry", "--diff", "-vvv", "--debug-operations")])
def test_no_secret_is_shown(project: Project, options: tuple[str, ...]) -> None:
    result = project.run(*options)
    shown = result.stdout + result.stderr
    assert result.returncode == 0
    assert CREDENTIALS.client_secret not in shown
    assert TOKEN not in shown
