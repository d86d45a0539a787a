"""What no test of this folder leaves in the checkout, and hashes without argon2's cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher, Type

from tailwart.stalwart.accounts import passwords
from tailwart.stalwart.lifecycle import server_schema
from tailwart.stalwart.settings import fingerprints


@pytest.fixture(autouse=True)
def _schemas_are_kept_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(server_schema, "CACHE", tmp_path / "schema-cache")


@pytest.fixture(autouse=True, scope="session")
def _cheap_hashes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (passwords, fingerprints):
            patch.setattr(module, "HASHER", PasswordHasher(1, 8, 1, type=Type.ID))
        yield
