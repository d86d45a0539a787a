"""images.lock: images by digest, and one Caddy for all edges."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tailwart.environment import load
from tailwart.environment import lock as locking
from tailwart.environment.lock import Binary, Lock
from tailwart.errors import TailwartError
from tests.unit.environment.test_environment_load import write

KIND = "x86_64 github.com/mholt/caddy-l4@v0.1.2"
DIGEST = f"sha256:{'a' * 64}"


def test_the_settings_hold_each_locked_image_by_its_digest(tmp_path: Path) -> None:
    path = write(tmp_path, STALWART_IMAGE="stalwartlabs/stalwart:v0.16.8")
    locking.update(locking.beside(path), lambda lock: replace(lock, images={"stalwartlabs/stalwart:v0.16.8": DIGEST}))
    env = load(path).environment
    assert env.stalwart_image == f"stalwartlabs/stalwart:v0.16.8@{DIGEST}"
    # Another tag is another image, of which the lock knows nothing.
    assert "@" not in load(write(tmp_path, STALWART_IMAGE="stalwartlabs/stalwart:v0.16.9")).environment.stalwart_image


def test_the_first_caddy_is_trusted_and_another_one_refused_with_the_way_to_accept_it(tmp_path: Path) -> None:
    path = tmp_path / locking.NAME
    first, second = Binary("1" * 64, "v2.11.9"), Binary("2" * 64, "v2.12.0")
    locking.trust(path, KIND, first)
    locking.trust(path, KIND, first)
    with pytest.raises(TailwartError, match="not the one that this installation trusts") as caught:
        locking.trust(path, KIND, second)
    assert "1" * 64 in caught.value.expected
    assert f"CADDY_SHA256={'2' * 64}" in caught.value.remedy
    assert str(path) in caught.value.remedy
    assert locking.read(path).caddy == {KIND: first}
    # Other modules or another machine type: another binary, met for the first time.
    locking.trust(path, KIND.replace("x86_64", "aarch64"), second)
    locking.trust(path, KIND, second, accepted=True)
    assert locking.read(path).caddy[KIND] == second


def test_a_lock_that_cannot_be_understood_is_refused_and_left(tmp_path: Path) -> None:
    path = tmp_path / locking.NAME
    assert locking.read(path) == Lock()
    for text in ("{", "[]", '{"caddy": {"x": {"sha256": 1, "else": 2}}}'):
        path.write_text(text)
        with pytest.raises(TailwartError, match="tailwart images lock"):
            locking.read(path)
        assert path.read_text() == text


def test_what_is_written_is_stable_text(tmp_path: Path) -> None:
    path = tmp_path / locking.NAME
    locking.update(path, lambda lock: Lock({"b:1": DIGEST, "a:1": DIGEST}, {KIND: Binary("1" * 64)}))
    assert list(json.loads(path.read_text())["images"]) == ["a:1", "b:1"]
    before = path.stat().st_mtime_ns
    locking.update(path, lambda lock: lock)
    assert path.stat().st_mtime_ns == before


def test_a_lock_that_cannot_be_written_is_told_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "not-there" / locking.NAME
    with pytest.raises(TailwartError) as caught:
        locking.trust(path, "x86_64", Binary("a" * 64))
    assert str(path) in caught.value.what
    assert "writable" in caught.value.remedy


def test_a_lock_that_is_nested_without_end_is_refused_as_one_that_cannot_be_understood(tmp_path: Path) -> None:
    path = tmp_path / "images.lock"
    path.write_text("[" * 100_000)
    with pytest.raises(TailwartError, match=r"images\.lock"):
        locking.read(path)
