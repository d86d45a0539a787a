"""The program cache: built once, whole or not at all, and a missing compiler is named."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lab import programs
from lab.programs import Program, toolchains
from tailwart.errors import TailwartError


@pytest.fixture
def bin_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Compilers exist when a test writes them, beside the machine's ordinary commands."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(toolchains.install, "ensure", lambda needs: None)
    monkeypatch.setattr(
        toolchains, "which", lambda name: str(directory / name) if (directory / name).exists() else None
    )
    return directory


@pytest.fixture
def demo(tmp_path: Path) -> Program:
    """A program of one module."""
    source = tmp_path / "demo"
    source.mkdir()
    (source / "go.mod").write_text("module demo\n")
    (source / "main.go").write_text("package main\n")
    return Program("demo", "1.0", source, (".",), ("demo",), "-X demo.version=1.0")


# Tells its version, and looks for the word after -o, as the real one does.
_GO = """#!/bin/sh
[ "$1" != version ] || { echo "go version go@VERSION@ linux/amd64"; exit; }
previous=
for word in "$@"; do [ "$previous" = -o ] && out=$word; previous=$word; done
"""


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def go(directory: Path, body: str, version: str = "1.26.6") -> None:
    script(directory / "go", _GO.replace("@VERSION@", version) + body)


def test_a_program_is_compiled_once(bin_directory: Path, demo: Program, tmp_path: Path) -> None:
    go(bin_directory, f'echo "$CGO_ENABLED $*" >> {tmp_path}/calls; echo binary > "$out"')
    programs.ensure([demo])
    programs.ensure([demo])
    assert demo.built
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 1
    assert calls[0].startswith("0 build -trimpath -ldflags -s -w -X demo.version=1.0 -o ")


def test_what_decides_the_binary_decides_its_directory(demo: Program) -> None:
    before = demo.key
    (demo.source / "main_test.go").write_text("package main\n")
    (demo.source / "README.md").write_text("words\n")
    assert demo.key == before
    (demo.source / "main.go").write_text("package main // changed\n")
    assert demo.key != before


def test_a_failed_build_leaves_nothing_and_tells_the_compilers_words(bin_directory: Path, demo: Program) -> None:
    go(bin_directory, 'echo half > "$out"; echo "main.go:1: syntax error" >&2; exit 1')
    with pytest.raises(TailwartError) as caught:
        programs.ensure([demo])
    assert "syntax error" in caught.value.seen
    assert "build-demo.log" in caught.value.remedy
    assert not demo.built
    assert list(demo.directory.parent.iterdir()) == []


def test_an_incomplete_directory_is_built_anew(bin_directory: Path, demo: Program) -> None:
    demo.directory.mkdir(parents=True)
    (demo.directory / "leaving").touch()
    go(bin_directory, 'echo binary > "$out"')
    programs.ensure([demo])
    assert demo.built
    assert not (demo.directory / "leaving").exists()


def test_a_machine_without_go_is_told_what_to_do(bin_directory: Path, demo: Program) -> None:
    with pytest.raises(TailwartError, match="no go in PATH") as caught:
        programs.ensure([demo])
    assert "make" in caught.value.remedy


@pytest.mark.parametrize("own", [None, "1.19.8"])
def test_go_is_fetched_once_where_there_is_none_or_an_old_one(
    bin_directory: Path, demo: Program, tmp_path: Path, own: str | None
) -> None:
    if own:
        go(bin_directory, "exit 9\n", own)
    fetched = _GO.replace("@VERSION@", "1.26.6") + 'echo binary > "$out"\n'
    (tmp_path / "fetched-go").write_text(fetched)
    script(
        bin_directory / "uv",
        f'#!/bin/sh\nfor word in "$@"; do [ "$previous" = --target ] && t=$word; previous=$word; done\n'
        f'echo "$*" >> {tmp_path}/fetches; mkdir -p "$t/go/bin"\n'
        f'cp {tmp_path}/fetched-go "$t/go/bin/go"; chmod 755 "$t/go/bin/go"\n',
    )
    programs.ensure([demo])
    toolchains.go()
    assert demo.built
    assert len((tmp_path / "fetches").read_text().splitlines()) == 1


def test_rust_comes_from_debian_where_there_is_none(bin_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, tuple[str, str]] = {}
    monkeypatch.setattr(toolchains.install, "ensure", asked.update)
    toolchains.ensure_rust()
    assert asked["cargo"][0] == "cargo"


def test_every_binary_of_the_images_comes_from_a_program() -> None:
    for name in ("caddy", "headscale", "pebble", "garage", "tailscale", "tailscaled", "containerboot", "stalwart"):
        assert programs.binary(name).name == name
        assert programs.owner(name).directory == programs.binary(name).parent
    with pytest.raises(TailwartError, match="'postfix'"):
        programs.binary("postfix")


def test_go_programs_pin_the_version_that_their_module_requires() -> None:
    for program, module in (
        (programs.CADDY, "github.com/caddyserver/caddy/v2"),
        (programs.HEADSCALE, "github.com/juanfont/headscale"),
        (programs.TAILSCALE, "tailscale.com"),
        (programs.PEBBLE, "github.com/letsencrypt/pebble/v2"),
    ):
        text = (program.source / "go.mod").read_text()
        assert f"{module} v{program.version}" in text, program.name
        assert os.access(program.source / "go.sum", os.R_OK)
