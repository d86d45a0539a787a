"""`tailwart store move`: everything from the embedded store to PostgreSQL and back, compared, and killed in between."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from lab.emptying import drop_database
from tailwart.environment import Account, Environment
from tests.lab import outside
from tests.lab.deploying import deploy, environment_of, variant
from tests.lab.mailbox import DIRECTORY, shell
from tests.lab.moving import command, moved
from tests.lab.state import Installation, make_bare
from tests.waiting import until

pytestmark = pytest.mark.long

_NO_OTHER_STORES = dict.fromkeys(("REDIS_URL", "S3_ENDPOINT"))


def _all_there(environment: Environment, user: Account, tokens: list[str]) -> None:
    for token in tokens:
        outside.read_back(f"{user.name}@{environment.domain}", user.password.get_secret_value(), token)


def test_the_data_store_moves_to_postgres_and_back(
    deployed: Path, installation: Installation, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    embedded = variant(
        deployed,
        tmp_path / "embedded",
        STALWART_STORE="rocksdb",
        BACKENDS_INSTALL=None,
        BACKENDS_SSH=None,
        **_NO_OTHER_STORES,
    )
    postgres = variant(deployed, tmp_path / "postgres", BACKENDS_INSTALL="postgres", **_NO_OTHER_STORES)
    log = tmp_path / "log"
    make_bare("mailbox")
    installation.other_store = True
    drop_database()
    # What the moves leave there has its bodies in the data store: the lab's own deploy, with a bucket, would refuse it.
    request.addfinalizer(drop_database)
    deploy(embedded)
    environment = environment_of(embedded)
    user = environment.accounts[0]
    tokens = [outside.mail_in(f"{user.name}@{environment.domain}") for _ in range(3)]
    _all_there(environment, user, tokens)

    for role in ("tailnet", "backends"):
        deploy(postgres, "--limit", role)
    refused = deploy(postgres, "--limit", "mailbox", expect=1)
    for said in ("embedded store", "PostgreSQL", "tailwart store move"):
        assert said in refused.stdout + refused.stderr
    # Killed in the middle: nothing has changed but that the mailbox stands still, and the next run goes on.
    killed = command(postgres, log)
    try:
        until(lambda: "importing" in log.read_text(), "the import to begin", 120, pause=0.05)
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    assert "RocksDb" in shell("mailbox", f"cat {DIRECTORY}/config/config.json")
    said = moved(postgres, log)
    assert "equal by SHA-256" in said
    assert "PostgreSql" in shell("mailbox", f"cat {DIRECTORY}/config/config.json")
    _all_there(environment, user, tokens)
    assert "kept" in shell("mailbox", "docker exec stalwart ls /var/lib/stalwart")
    assert not deploy(postgres, "--limit", "mailbox").changes

    tokens.append(outside.mail_in(f"{user.name}@{environment.domain}"))
    said = moved(embedded, log)
    assert "accounts" in said
    assert "RocksDb" in shell("mailbox", f"cat {DIRECTORY}/config/config.json")
    _all_there(environment, user, tokens)
    assert not deploy(embedded, "--limit", "mailbox").changes
