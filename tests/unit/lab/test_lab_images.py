"""Build contexts: same content, same hash; anything that decides the image changes it."""

from __future__ import annotations

import io
import tarfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import images, paths
from lab.engine import Docker
from lab.images import HOST_IMAGES, Spec, hosts
from lab.images.context import Context, of
from tailwart.errors import TailwartError
from tests.waiting import until


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One image directory and one directory of sources, in a project of their own."""
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    monkeypatch.setattr(images, "DIRECTORY", tmp_path / "images")
    (tmp_path / "images" / "demo" / "rootfs").mkdir(parents=True)
    (tmp_path / "images" / "demo" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "images" / "demo" / "rootfs" / "start").write_text("#!/bin/sh\n")
    (tmp_path / "src" / "__pycache__").mkdir(parents=True)
    (tmp_path / "src" / "app.py").write_text("print()\n")
    (tmp_path / "src" / "__pycache__" / "app.pyc").write_bytes(b"\0")
    return tmp_path


SPEC = Spec("demo", sources=(("code", "src"),))


def test_the_context_holds_the_directory_and_the_sources_without_leavings(tree: Path) -> None:
    assert set(of(SPEC).files) == {"Dockerfile", "rootfs/start", "code/app.py"}


def test_the_hash_is_of_content_mode_and_parent_and_of_nothing_else(tree: Path) -> None:
    before = of(SPEC).digest("parent:1")
    (tree / "src" / "__pycache__" / "other.pyc").write_bytes(b"\1")
    (tree / "src" / "app.py").touch()
    assert of(SPEC).digest("parent:1") == before
    assert of(SPEC).digest("parent:2") != before
    (tree / "images" / "demo" / "rootfs" / "start").chmod(0o755)
    executable = of(SPEC).digest("parent:1")
    assert executable != before
    (tree / "src" / "app.py").write_text("print(1)\n")
    assert of(SPEC).digest("parent:1") not in {before, executable}


def test_a_texts_content_counts_but_a_keyed_file_counts_by_its_key(tree: Path) -> None:
    assert of(SPEC, {"ca.crt": b"a"}).digest() != of(SPEC, {"ca.crt": b"b"}).digest()
    big = tree / "big"
    big.write_bytes(b"1")
    one = Context({"programs/big": big}, {}, {"programs/big": "big-1.0-abc"}).digest()
    big.write_bytes(b"2")
    assert Context({"programs/big": big}, {}, {"programs/big": "big-1.0-abc"}).digest() == one
    assert Context({"programs/big": big}, {}, {"programs/big": "big-1.1-abc"}).digest() != one


def test_the_archive_is_roots_and_the_same_for_every_umask(tree: Path) -> None:
    (tree / "images" / "demo" / "Dockerfile").chmod(0o600)
    (tree / "images" / "demo" / "rootfs" / "start").chmod(0o700)
    stream = io.BytesIO()
    of(SPEC, {"ca.crt": b"pem"}).write(stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        entries = {entry.name: entry for entry in archive.getmembers()}
        assert {entry.uid for entry in entries.values()} == {0}
        assert entries["Dockerfile"].mode == 0o644
        assert entries["rootfs/start"].mode == 0o755
        extracted = archive.extractfile("ca.crt")
        assert extracted is not None
        assert extracted.read() == b"pem"


def test_every_image_of_a_host_has_a_dockerfile_that_names_its_parent() -> None:
    for spec in HOST_IMAGES.values():
        parents = [line for line in (spec.directory / "Dockerfile").read_text().splitlines() if line.startswith("FROM")]
        assert parents == [f"FROM tailwart-lab/{spec.parent}"], spec.name


def test_the_archive_begins_at_exactly_the_parent_it_was_hashed_with(tree: Path) -> None:
    stream = io.BytesIO()
    of(SPEC).on("tailwart-lab/host:abc").write(stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        assert archive.getnames().count("Dockerfile") == 1
        extracted = archive.extractfile("Dockerfile")
        assert extracted is not None
        assert extracted.read() == b"FROM tailwart-lab/host:abc\n"


def test_the_sources_of_every_image_exist() -> None:
    for spec in HOST_IMAGES.values():
        for _, source in spec.sources:
            assert any((paths.PROJECT / source).rglob("*.py")), f"{spec.name}: {source}"


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is built on which parent, in order; nothing is built really."""
    done: list[tuple[str, str]] = []

    def build(docker: Docker, name: str, made: Context, parent: str) -> str:
        done.append((name, parent))
        return f"{name}:1"

    monkeypatch.setattr(hosts.build, "ensure", build)
    monkeypatch.setattr(hosts.context, "of", lambda spec: spec)
    return done


def test_images_without_programs_do_not_wait_for_the_compilers(built: list[tuple[str, str]]) -> None:
    compiled: Future[None] = Future()
    with ThreadPoolExecutor(1) as pool:
        references = pool.submit(hosts.ensure, Docker(), "base:1", compiled)
        until(lambda: ("world", "host:1") in built, "the outside world's image")
        assert built == [("host", "base:1"), ("world", "host:1")]
        compiled.set_result(None)
        assert set(references.result()) == {"base", *HOST_IMAGES}
    assert {("node", "host:1"), ("control", "node:1"), ("relay", "node:1")} <= set(built)


def test_a_program_that_does_not_compile_ends_the_build_of_the_images(built: list[tuple[str, str]]) -> None:
    compiled: Future[None] = Future()
    compiled.set_exception(TailwartError("compiling headscale failed"))
    with pytest.raises(TailwartError, match="headscale"):
        hosts.ensure(Docker(), "base:1", compiled)
    assert not [name for name, _ in built if HOST_IMAGES[name].programs]
