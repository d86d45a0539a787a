"""The host of these tests, and hashes without argon2's cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher, Type

from tailwart.stalwart.accounts import passwords
from tailwart.stalwart.lifecycle import server_schema
from tailwart.stalwart.settings import fingerprints
from tests.plans.stalwart.stalwart_host import StalwartHost, stalwart_host


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (passwords, fingerprints):
        monkeypatch.setattr(module, "HASHER", PasswordHasher(1, 8, 1, type=Type.ID))


@pytest.fixture(autouse=True)
def _schemas_are_kept_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(server_schema, "CACHE", tmp_path / "schema-cache")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[StalwartHost]:
    with stalwart_host(tmp_path) as made:
        yield made
