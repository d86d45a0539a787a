"""What no test of this folder leaves in the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailwart.stalwart.lifecycle import server_schema


@pytest.fixture(autouse=True)
def _schemas_are_kept_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(server_schema, "CACHE", tmp_path / "schema-cache")
