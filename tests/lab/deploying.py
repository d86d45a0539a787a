"""Running the deploy as a user does, and reading what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from tailwart.environment import Environment, load
from tests.lab.arguments import ArgumentWatch

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """One finished pyinfra run."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Everything that was printed."""
        return self.stdout + self.stderr

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document of a run with ``--json``."""
        parsed: dict[str, Any] = json.loads(self.stdout)
        return parsed

    @property
    def changes(self) -> dict[str, list[str]]:
        """Host → names of the operations that changed something."""
        return self._by_host("results", "success")

    @property
    def planned(self) -> dict[str, list[str]]:
        """Host → names of the operations that a dry run would run."""
        found: dict[str, list[str]] = defaultdict(list)
        for operation in self.document["plan"]:
            for key in ("hosts_with_change", "hosts_with_conditional_change"):
                for host in operation[key]:
                    found[host].append(operation["name"])
        return dict(found)

    @property
    def hosts(self) -> set[str]:
        """The hosts that took part in any operation."""
        return {
            host
            for operation in self.document["results"]["operations"]
            for key in ("success", "error", "no_change")
            for host in operation[key]
        }

    @property
    def last_lines(self) -> str:
        """What the operator sees at the end."""
        return "\n".join([line for line in self.stderr.splitlines() if line.strip()][-12:])

    def _by_host(self, part: str, key: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for operation in self.document[part]["operations"]:
            for host in operation[key]:
                found[host].append(operation["name"])
        return dict(found)


def run_pyinfra(environment_path: Path, *arguments: str, seconds: float = 600) -> Run:
    """``pyinfra inventory.py deploy.py …`` with the given `.env`; no secret may appear in its output or arguments."""
    secrets = secret_values(load(environment_path).environment) if environment_path.exists() else frozenset()
    with ArgumentWatch(secrets) as watch:
        process = subprocess.run(
            [str(Path(sys.executable).parent / "pyinfra"), "inventory.py", "deploy.py", *arguments],
            cwd=ROOT,
            env={**os.environ, "TAILWART_ENV": str(environment_path), "PYINFRA_PROGRESS": "off"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    run = Run(process.returncode, process.stdout, process.stderr)
    assert not watch.seen, f"a secret stood in the arguments of: {sorted(watch.seen)}"
    leaked = [secret for secret in secrets if secret in run.output]
    assert not leaked, f"{len(leaked)} secrets stand in the output of pyinfra {' '.join(arguments)}"
    return run


def deploy(environment_path: Path, *arguments: str, expect: int = 0) -> Run:
    """An applied deploy with its results as JSON; fails with the run's last lines when the exit code is another."""
    run = run_pyinfra(environment_path, "-y", "--json", *arguments)
    assert run.code == expect, f"exit code {run.code}\n{run.stderr[-6000:]}"
    return run


def tailwart(
    environment_path: Path, *words: str, cwd: Path = ROOT, seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """The `tailwart` command as an operator runs it with the given `.env`, without a terminal."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("tailwart")), *words],
        cwd=cwd,
        env={**os.environ, "TAILWART_ENV": str(environment_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def said(environment_path: Path, *words: str, expect: int = 0, cwd: Path = ROOT) -> str:
    """What a `tailwart` command prints; fails with all that it printed when the exit code is another."""
    done = tailwart(environment_path, *words, cwd=cwd)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def secret_values(environment: BaseModel) -> frozenset[str]:
    """Every secret of an environment, nested ones included."""
    found: set[str] = set()
    for name in type(environment).model_fields:
        value = getattr(environment, name)
        if isinstance(value, SecretStr):
            found.add(value.get_secret_value())
        for item in value if isinstance(value, tuple) else ():
            if isinstance(item, BaseModel):
                found |= secret_values(item)
    if isinstance(environment, Environment):
        found |= {secret.get_secret_value() for secret in environment.provider_secrets}
    return frozenset(found)


def variant(base: Path, target: Path, **changes: str | None) -> Path:
    """A copy of a `.env` with keys set to other values; None leaves a key out."""
    lines = [line for line in base.read_text().splitlines() if line.split("=", 1)[0] not in changes]
    lines += [f"{key}={value}" for key, value in changes.items() if value is not None]
    target.touch(mode=0o600)
    target.write_text("\n".join(lines) + "\n")
    return target


def environment_of(path: Path) -> Environment:
    """The typed settings of a `.env`."""
    return load(path).environment
