"""From the oldest supported release of Stalwart to the default one, by changing one line of `.env`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tailwart import releases
from tailwart.environment import Account, Environment
from tailwart.releases import SUPPORTED
from tests.lab import outside
from tests.lab.deploying import deploy, said, variant
from tests.lab.mailbox import shell

pytestmark = pytest.mark.leaves_deployed


def running() -> str:
    """The version of the server that runs in the container."""
    return releases.find(shell("mailbox", "docker exec stalwart stalwart --version"))


def planned(path: Path) -> list[Any]:
    """What `tailwart settings plan` would write."""
    changes: list[Any] = json.loads(said(path, "settings", "plan", "--json"))["changes"]
    return changes


def test_an_upgrade_is_one_line_and_keeps_the_mail(
    deployed: Path, environment: Environment, account: Account, tmp_path: Path
) -> None:
    user, password = f"{account.name}@{environment.domain}", account.password.get_secret_value()
    image = environment.stalwart_image
    earlier = image.replace(f".{SUPPORTED.default}", f".{SUPPORTED.oldest}")
    assert earlier != image
    path = variant(deployed, tmp_path / "env", STALWART_IMAGE=earlier)
    deploy(path)
    assert running() == f"0.16.{SUPPORTED.oldest}"
    before = outside.mail_in(user)
    outside.read_back(user, password, before)

    changed = deploy(variant(path, path, STALWART_IMAGE=image)).changes
    assert set(changed) == {"mailbox"}
    assert running() == f"0.16.{SUPPORTED.default}"
    outside.read_back(user, password, before)
    outside.read_back(user, password, outside.mail_in(user))
    assert planned(path) == []
    assert deploy(path).changes == {}
