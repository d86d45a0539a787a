"""`tailwart env`, and what the inventory says before anything is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent


def run(path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=ROOT,
        env={**os.environ, "TAILWART_ENV": str(path), "PYINFRA_PROGRESS": "off"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "env"
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def test_the_printed_example_is_the_file_of_the_project(tmp_path: Path) -> None:
    printed = run(write(tmp_path, ""), "tailwart", "env", "example")
    assert printed.stdout == (ROOT / ".env.example").read_text()


def test_check_lists_roles_and_those_without_settings(tmp_path: Path) -> None:
    path = write(tmp_path, "DOMAIN=example.org\nTS_TAILNET=tail1234.ts.net\nEDGES=edge-1\nEDGE_1_SSH=root@192.0.2.1\n")
    checked = run(path, "tailwart", "env", "check")
    assert checked.returncode == 0, checked.stderr
    assert "edge     edge-1" in checked.stdout
    assert "mailbox  skipped: MAILBOX_SSH is not set" in checked.stdout
    assert checked.stdout.rstrip().splitlines()[-1].startswith("Next: pyinfra")
    assert json.loads(run(path, "tailwart", "env", "check", "--json").stdout)["roles"]["edge"] == ["edge-1"]


def test_a_broken_file_stops_command_and_deploy_alike_without_a_traceback(tmp_path: Path) -> None:
    path = write(tmp_path, "DOMAIN=example\nTS_TAILNET=tail1234.ts.net\n")
    for command in (("tailwart", "env", "check"), ("pyinfra", "-y", "inventory.py", "deploy.py")):
        refused = run(path, *command)
        assert refused.returncode == 1
        assert "DOMAIN = 'example'" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_absent_roles_are_said_once_and_an_empty_limit_fails(tmp_path: Path) -> None:
    path = write(
        tmp_path, "DOMAIN=example.org\nTS_TAILNET=tail1234.ts.net\nEDGES=edge-1\nEDGE_1_SSH=root@127.0.0.1:9\n"
    )
    refused = run(path, "pyinfra", "-y", "inventory.py", "deploy.py", "--limit", "mailbox")
    assert refused.stderr.count("Role mailbox is skipped: MAILBOX_SSH is not set.") == 1
    assert refused.returncode == 1
    assert "no host of the inventory matches --limit" in "\n".join(refused.stderr.splitlines()[-8:])


def test_an_unreachable_host_ends_with_host_setting_and_remedy(tmp_path: Path) -> None:
    path = write(
        tmp_path, "DOMAIN=example.org\nTS_TAILNET=tail1234.ts.net\nEDGES=edge-1\nEDGE_1_SSH=root@127.0.0.1:9\n"
    )
    failed = run(path, "pyinfra", "-y", "inventory.py", "deploy.py")
    assert failed.returncode == 1
    tail = "\n".join(failed.stderr.splitlines()[-7:])
    for part in ("Failed: edge-1: connect over SSH", "EDGE_1_SSH", "ssh -p 9 root@127.0.0.1 true"):
        assert part in tail, failed.stderr
