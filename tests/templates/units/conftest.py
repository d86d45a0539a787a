"""A systemd of the test's own: a user manager in namespaces of its own, with units in a temporary directory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tailwart.hosts import units
from tailwart.runner import Completed
from tests.waiting import until

MANAGER = "/usr/lib/systemd/systemd"
# systemd runs only where /run/systemd/system says that it does; as process 1 it would take itself for the system's.
BOOT = f"""
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR" || exit 1
{MANAGER} --user --log-target=null & wait
"""
USER = 'systemctl() { command systemctl --user "$@"; }; journalctl() { command journalctl --user "$@"; }\n'


@dataclass(frozen=True)
class Systemd:
    """A `Runner` next to that systemd; ``directory`` is for the test's files."""

    process: int
    directory: Path
    variables: dict[str, str]

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        words = ["nsenter", f"--target={self.process}", "--mount", "--pid", "sh", "-c", USER + script]
        result = subprocess.run(
            words, input=stdin, env=self.variables, capture_output=True, text=True, timeout=60, check=False
        )
        return Completed(result.returncode == 0, result.stdout, result.stderr)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    if os.geteuid() != 0 or not Path(MANAGER).exists() or shutil.which("unshare") is None:
        pytest.skip("needs root, systemd and unshare")
    variables = {**os.environ, "XDG_RUNTIME_DIR": "/run/user/0", "XDG_CONFIG_HOME": str(tmp_path)}
    monkeypatch.setattr(units, "_DIRECTORY", f"{tmp_path}/systemd/user")
    (tmp_path / "systemd/user").mkdir(parents=True)
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", BOOT]
    with subprocess.Popen(words, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as outer:
        try:
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
            until(lambda: outer.poll() is not None or bool(children.read_text()), "the namespaces", 20, 0.05)
            if outer.poll() is not None:
                pytest.skip("no namespaces can be made here")
            found = Systemd(int(children.read_text().split()[0]), tmp_path, variables)
            try:
                until(lambda: found("systemctl show-environment").ok, "systemd in its namespaces", 20, 0.1)
            except AssertionError as problem:
                pytest.skip(str(problem))
            yield found
        finally:
            outer.kill()
