"""Back to what served before, on a directory that stands for the host's, with a docker that tells what it was asked."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tailwart.cli.commands import edge as commands
from tailwart.edge.rollback import images, roll_back
from tailwart.environment import Edge
from tailwart.errors import TailwartError
from tailwart.runner import Completed

DOCKER = """#!/bin/sh
echo "$@" >>"$LOG"
case "$*" in *"http://edge/config/"*) cat "$SERVED/caddy.json" ;; "image inspect gone"*) exit 1 ;; esac
"""


@dataclass
class Machine:
    """Runs the role's scripts here, with its directory below ``root``."""

    root: Path

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        own = self.root / "opt/tailwart/edge"
        done = subprocess.run(
            ["sh", "-c", script.replace("/opt/tailwart", str(self.root / "opt/tailwart"))],
            input=stdin, capture_output=True, text=True, check=False, timeout=timeout or 60,
            env={"PATH": f"{self.root}:{os.environ['PATH']}", "LOG": str(self.root / "log"), "SERVED": str(own)},
        )  # fmt: skip
        return Completed(done.returncode == 0, done.stdout, done.stderr)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    for directory, tag in (("edge", "new"), ("edge/previous", "old")):
        path = tmp_path / "opt/tailwart" / directory
        path.mkdir(parents=True, exist_ok=True)
        (path / "compose.yaml").write_text(f"services:\n  edge:\n    image: tailwart-edge:{tag}\n")
        (path / "caddy.json").write_text(f'{{"tag": "{tag}"}}')
    return Machine(tmp_path)


def test_what_served_before_serves_again_and_what_serves_now_is_kept(machine: Machine) -> None:
    assert images(machine) == ("tailwart-edge:new", "tailwart-edge:old")
    roll_back(machine)
    assert images(machine) == ("tailwart-edge:old", "tailwart-edge:new")
    edge = machine.root / "opt/tailwart/edge"
    assert (edge / "caddy.json").read_text() == '{"tag": "old"}'
    assert (edge / "previous/caddy.json").read_text() == '{"tag": "new"}'
    assert sorted(path.name for path in edge.iterdir()) == ["caddy.json", "compose.yaml", "previous"]
    roll_back(machine)
    assert images(machine) == ("tailwart-edge:new", "tailwart-edge:old")
    assert "up -d --wait" in (machine.root / "log").read_text()


def test_an_edge_without_anything_before_is_left_as_it_is(machine: Machine) -> None:
    previous = machine.root / "opt/tailwart/edge/previous/compose.yaml"
    previous.write_text("services:\n  edge:\n    image: gone:1\n")
    with pytest.raises(TailwartError, match="nothing to go back to"):
        roll_back(machine)
    previous.unlink()
    with pytest.raises(TailwartError, match="nothing to go back to"):
        roll_back(machine)
    assert "new" in (machine.root / "opt/tailwart/edge/caddy.json").read_text()


@pytest.mark.parametrize(
    ("names", "everything", "words"), [(("edge-9",), False, "edge-9"), ((), False, "which edge"), (("a",), True, "a")]
)
def test_the_edges_are_named_one_by_one_or_all(names: tuple[str, ...], everything: bool, words: str) -> None:
    edges = tuple(Edge.model_validate({"name": name, "ssh": "root@192.0.2.1"}) for name in ("edge-1", "edge-2"))
    with pytest.raises(TailwartError, match=words):
        commands._chosen(edges, names, everything=everything)
