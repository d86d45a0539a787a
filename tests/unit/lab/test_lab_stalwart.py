"""Which Stalwart the lab runs, and that a stand-in is never called anything else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lab import programs
from lab.engine import Docker
from lab.images import pulling, stalwart
from tailwart.errors import TailwartError


class Engine:
    """An engine that notes what it is asked and holds the given images."""

    def __init__(self, *images: str) -> None:
        self.images = set(images)
        self.calls: list[Sequence[str]] = []

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        self.calls.append(arguments)
        match arguments:
            case ("image", "inspect", "--format", "ok", name):
                return subprocess.CompletedProcess([], int(name not in self.images), b"", b"")
            case ("image", "inspect", name):
                document = [{"Id": f"sha256:{name}", "Config": {"User": "2000"}}]
                return subprocess.CompletedProcess([], 0, json.dumps(document).encode(), b"")
            case ("load", *_):
                self.images.add("mine/stalwart:v0.16.9")
                return subprocess.CompletedProcess([], 0, b"Loaded image: mine/stalwart:v0.16.9\n", b"")
            case ("run", *_):
                return subprocess.CompletedProcess([], 0, b"Stalwart 0.16.8\n", b"")
            case ("pull", *_):
                raise TailwartError("docker pull failed", seen="no such host")
        return subprocess.CompletedProcess([], 0, b"", b"")

    def build_arguments(self) -> list[str]:
        """Build arguments of the last image that was built."""
        build = [call for call in self.calls if call[0] == "build"][-1]
        return [value for flag, value in pairwise(build) if flag == "--build-arg"]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    """An empty engine; no variable is set, no registry answers, and the state is the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("LAB_STALWART_IMAGE", "LAB_STALWART_BINARY"):
        monkeypatch.delenv(name, raising=False)
    found = Engine()

    def run(docker: Docker, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        return found.run(*words, **options)

    monkeypatch.setattr(Docker, "run", run)
    monkeypatch.setattr(programs, "ensure", lambda wanted: None)
    binary = tmp_path / "built"
    binary.write_text("#!/bin/sh\necho 0.16.7\n")
    binary.chmod(0o755)
    monkeypatch.setattr(programs, "binary", lambda name: binary)
    return found


def ensure() -> stalwart.Stalwart:
    return stalwart.ensure(Docker(), "slim:1", b"pem")


def test_without_anything_it_is_the_stand_in_and_says_so(engine: Engine) -> None:
    found = ensure()
    assert found.is_standin
    assert found.tag == f"{stalwart.VERSION}-standin"
    assert "STAND-IN" in found.identity
    assert any("STAND-IN" in argument for argument in engine.build_arguments())
    assert f"VERSION={stalwart.VERSION.removeprefix('v')}" in engine.build_arguments()


def test_an_earlier_release_is_the_same_stand_in_told_another_version(engine: Engine) -> None:
    found = stalwart.earlier(Docker(), "slim:1")
    assert f"VERSION={stalwart.EARLIER.removeprefix('v')}" in engine.build_arguments()
    assert found.tag == f"{stalwart.EARLIER}-standin"
    assert found.is_standin


def test_the_official_image_is_preferred_where_it_is_to_be_had(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "pulled", lambda docker, image: True)
    found = ensure()
    assert not found.is_standin
    assert found.tag == stalwart.VERSION
    assert any(stalwart.OFFICIAL in argument for argument in engine.build_arguments())
    assert "RUN_AS=2000" in engine.build_arguments(), "the image's own user runs it"


def test_an_image_given_by_hand_keeps_its_version(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.images.add("mine/stalwart:v0.16.10")
    monkeypatch.setenv("LAB_STALWART_IMAGE", "mine/stalwart:v0.16.10")
    assert ensure().tag == "v0.16.10"


def test_an_image_whose_tag_is_no_version_is_asked(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.images.add("mine/stalwart:dev")
    monkeypatch.setenv("LAB_STALWART_IMAGE", "mine/stalwart:dev")
    assert ensure().tag == "v0.16.8"


def test_an_archive_is_loaded(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    archive = tmp_path / "stalwart.tar"
    archive.write_bytes(b"tar")
    monkeypatch.setenv("LAB_STALWART_IMAGE", str(archive))
    assert ensure().tag == "v0.16.9"


def test_an_image_that_cannot_be_had_is_an_error_that_names_the_variable(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_STALWART_IMAGE", "mine/stalwart:v0.16.7")
    with pytest.raises(TailwartError, match="LAB_STALWART_IMAGE") as caught:
        ensure()
    assert "docker save mine/stalwart:v0.16.7 | docker load" in caught.value.remedy


@pytest.mark.parametrize(("output", "tag"), [("stalwart 0.16.12", "v0.16.12"), ("no idea", stalwart.VERSION)])
def test_a_binary_given_by_hand_is_called_by_its_version(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, output: str, tag: str
) -> None:
    binary = tmp_path / "stalwart"
    binary.write_text(f"#!/bin/sh\necho '{output}'\n")
    binary.chmod(0o755)
    monkeypatch.setenv("LAB_STALWART_BINARY", str(binary))
    found = ensure()
    assert found.tag == tag
    assert not found.is_standin
    assert str(binary) in found.identity


@pytest.mark.parametrize("kind", ["absent", "not executable", "directory"])
def test_a_binary_that_cannot_be_run_is_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "x"
    if kind == "not executable":
        path.write_text("x")
    elif kind == "directory":
        path.mkdir()
    monkeypatch.setenv("LAB_STALWART_BINARY", str(path))
    with pytest.raises(TailwartError, match="LAB_STALWART_BINARY"):
        ensure()


def test_a_choice_holds_for_shells_that_lack_the_variable_until_it_is_emptied(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.images.add("mine/stalwart:v0.16.10")
    monkeypatch.setenv("LAB_STALWART_IMAGE", "mine/stalwart:v0.16.10")
    assert ensure().tag == "v0.16.10"
    monkeypatch.delenv("LAB_STALWART_IMAGE")
    assert ensure().tag == "v0.16.10"
    monkeypatch.setenv("LAB_STALWART_IMAGE", "")
    assert ensure().is_standin
    monkeypatch.delenv("LAB_STALWART_IMAGE")
    assert ensure().is_standin


def test_the_last_choice_wins_and_down_forgets_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine.images.add("mine/stalwart:v0.16.10")
    monkeypatch.setenv("LAB_STALWART_IMAGE", "mine/stalwart:v0.16.10")
    ensure()
    monkeypatch.delenv("LAB_STALWART_IMAGE")
    monkeypatch.setenv("LAB_STALWART_BINARY", str(programs.binary("stalwart")))
    assert "LAB_STALWART_BINARY" in ensure().identity
    monkeypatch.delenv("LAB_STALWART_BINARY")
    assert "LAB_STALWART_BINARY" in ensure().identity
    stalwart.forget_choice()
    assert ensure().is_standin
