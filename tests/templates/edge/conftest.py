"""The Caddy that the lab builds: the same program that the download service would hand out."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import programs


@pytest.fixture(scope="session")
def caddy() -> Path:
    programs.ensure([programs.CADDY])
    return programs.binary("caddy")
