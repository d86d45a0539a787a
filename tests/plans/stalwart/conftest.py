"""The host of these tests, and hashes without argon2's cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher, Type

from tailwart.stalwart.accounts import entries as accounts
from tailwart.stalwart.accounts import passwords
from tailwart.stalwart.lifecycle import recovery
from tests.plans.stalwart.household import Household, household


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = PasswordHasher(1, 8, 1, type=Type.ID)
    for module in (passwords, accounts, recovery):
        monkeypatch.setattr(module, "HASHER", cheap)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Household]:
    with household(tmp_path) as made:
        yield made
