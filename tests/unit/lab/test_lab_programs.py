"""The program cache: built once, whole or not at all, and a missing compiler is named."""

from __future__ import annotations

import multiprocessing
import os
import stat
from concurrent.futures import Future
from pathlib import Path

import pytest

from lab import programs
from lab.engine import Docker
from lab.images.base import Bases
from lab.programs import Program, garage, toolchains
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
    assert calls[0].startswith("0 build -trimpath -gcflags=all=-l -ldflags -s -w -X demo.version=1.0 -o ")


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


@pytest.fixture
def engine(bin_directory: Path, tmp_path: Path) -> Docker:
    """A docker command that notes what it is asked, and hands out a file as `docker cp`."""
    script(
        bin_directory / "docker",
        f'#!/bin/sh\necho "$*" >> {tmp_path}/docker; [ "$1" != cp ] || echo from the container > "$3"\n',
    )
    return Docker()


def base_image() -> Future[Bases]:
    future: Future[Bases] = Future()
    future.set_result(Bases("lab/base:1", "lab/slim:1"))
    return future


def rust(directory: Path, version: str, tmp_path: Path) -> None:
    """A machine's own cargo and C compiler."""
    for name in ("cc", "make"):
        script(directory / name, "#!/bin/sh\n")
    script(
        directory / "cargo",
        f'#!/bin/sh\n[ "$1" != --version ] || {{ echo "cargo {version} (abc 2026-01-01)"; exit; }}\n'
        f'echo "$CARGO_PROFILE_RELEASE_OPT_LEVEL $*" >> {tmp_path}/cargo\n'
        'for word in "$@"; do [ "$previous" = --root ] && root=$word; previous=$word; done\n'
        'mkdir -p "$root/bin"; echo from this machine > "$root/bin/garage"\n',
    )


@pytest.mark.parametrize("own", [None, "0.66.0", "1.85.1"])
def test_garage_is_compiled_in_the_base_image_where_rust_is_missing_or_too_old(
    bin_directory: Path, engine: Docker, tmp_path: Path, own: str | None
) -> None:
    if own:
        rust(bin_directory, own, tmp_path)
    garage.ensure(engine, base_image())
    garage.ensure(engine, base_image())
    assert programs.binary("garage").read_text() == "from the container\n"
    assert not (tmp_path / "cargo").exists()
    asked = (tmp_path / "docker").read_text().splitlines()
    (run,) = [line for line in asked if line.startswith("run ")]
    assert "tailwart.lab=build" in run, "`lab down` removes what a killed build leaves"
    assert " lab/base:1 /bin/sh " in run
    assert "--version 2.5.0 --locked" in (tmp_path / "docker").read_text()
    assert asked[-1].startswith("rm --force "), "the container is gone"


def test_garage_is_compiled_by_the_machines_own_rust_when_it_is_new_enough(
    bin_directory: Path, engine: Docker, tmp_path: Path
) -> None:
    rust(bin_directory, "1.95.0", tmp_path)
    garage.ensure(engine, Future())
    assert programs.binary("garage").read_text() == "from this machine\n"
    assert (tmp_path / "cargo").read_text().startswith("0 install garage --version 2.5.0 --locked ")
    assert not (tmp_path / "docker").exists()


def test_a_failed_build_in_the_base_image_names_the_log_and_the_version_to_bring(
    bin_directory: Path, tmp_path: Path
) -> None:
    script(bin_directory / "docker", '#!/bin/sh\n[ "$1" != run ] || { echo "error: linker not found"; exit 101; }\n')
    with pytest.raises(TailwartError) as caught:
        garage.ensure(Docker(), base_image())
    assert "linker not found" in caught.value.seen
    assert "build-garage.log" in caught.value.remedy
    assert "1.89" in caught.value.remedy
    assert not programs.GARAGE.built


def test_processes_side_by_side_compile_a_program_once(bin_directory: Path, demo: Program, tmp_path: Path) -> None:
    go(bin_directory, f'echo "$*" >> {tmp_path}/calls; sleep 0.2; echo binary > "$out"')
    others = [multiprocessing.get_context("fork").Process(target=programs.ensure, args=([demo],)) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert demo.built
    assert len((tmp_path / "calls").read_text().splitlines()) == 1


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
