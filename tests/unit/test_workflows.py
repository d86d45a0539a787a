"""The workflows for the public forge: what starts them, what they run, and with which rights."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def read(path: Path) -> dict[Any, Any]:
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


def test_pushes_and_pull_requests_run_the_same_script_as_a_developer() -> None:
    workflow = read(ROOT / ".github" / "workflows" / "ci.yml")
    # YAML 1.1 reads the key `on` as true.
    assert set(workflow[True]) == {"push", "pull_request"}
    (script,) = [step["run"] for step in steps(workflow) if "run" in step]
    assert script.split()[-1] == ".ci/run"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_the_token_only_reads(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@(v\d+(\.\d+)*|[0-9a-f]{40})", action), action


def test_the_policy_workflow_stores_no_secret_and_a_pull_request_cannot_write() -> None:
    path = ROOT / ".github" / "workflows" / "tailnet-policy.yml"
    assert "secrets." not in path.read_text()
    jobs = read(path)["jobs"]
    for job in jobs.values():
        assert job["permissions"] == {"contents": "read", "id-token": "write"}
    writing = [name for name, job in jobs.items() if "TS_WRITE_CLIENT_ID" in str(job)]
    assert writing == ["apply"]
    # The identity that writes takes no other run than those of this environment.
    assert jobs["apply"]["environment"] == "tailnet"
    assert jobs["apply"]["if"] == "github.event_name == 'push'"
    assert "head.repo.full_name == github.repository" in jobs["plan"]["if"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_checkout_leaves_no_credential_behind(path: Path) -> None:
    for step in steps(read(path)):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
