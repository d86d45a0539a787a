"""Valkey in place of Redis on a bare host: from an archive that has it, and one that has not, as Debian 12's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from lab import apt, hosts
from lab.images import base
from lab.images import hosts as host_images
from tailwart.environment import Environment
from tests.lab import outside
from tests.lab.deploying import deploy, environment_of, variant
from tests.lab.mailbox import shell

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

_REPOSITORY = "/var/lib/valkey-packages"


@pytest.fixture
def bare(lab_environment: Path, tmp_path: Path) -> Iterator[Path]:
    """Mailbox and stores' host begin bare, and do so again afterwards."""
    hosts.recreate("backends", "mailbox")
    yield variant(lab_environment, tmp_path / "env", BACKENDS_INSTALL="postgres,valkey,garage")
    hosts.recreate("backends", "mailbox")
    deploy(lab_environment)


def archive_has_valkey() -> None:
    """One more source on the stores' host. The lab's own archive has no Valkey, which nothing else needs."""
    docker = hosts.running_engine()
    image = host_images.bare(docker, base.ensure(docker).host)
    packages = apt.fetch(docker, image, ["valkey-server"])
    shell("backends", f"mkdir -p {_REPOSITORY}")
    hosts.exec("backends", ["tar", "-C", _REPOSITORY, "-xf", "-"], stdin=packages)
    line = f"deb [trusted=yes] file:{_REPOSITORY} ./"
    shell("backends", f"echo '{line}' >/etc/apt/sources.list.d/valkey.list")


def valkey(environment: Environment, *words: str, index: int = 3) -> str:
    assert environment.redis_url is not None
    password = unquote(urlsplit(environment.redis_url.get_secret_value()).password or "")
    script = f'read -r REDISCLI_AUTH; export REDISCLI_AUTH; valkey-cli -n {index} "$@"'
    command = ["sh", "-c", script, "valkey", *words]
    return hosts.exec("backends", command, stdin=f"{password}\n".encode()).stdout.decode().strip()


def test_valkey_serves_in_place_of_redis(bare: Path) -> None:
    environment = environment_of(bare)
    refused = deploy(bare, "--limit", "backends", expect=1)
    assert "valkey-server could not be installed" in refused.stderr
    assert "from Debian 13 on" in refused.stderr

    archive_has_valkey()
    deploy(bare)
    user = environment.accounts[0]
    address = f"{user.name}@{environment.domain}"
    outside.read_back(address, user.password.get_secret_value(), outside.mail_in(address))
    assert valkey(environment, "GET", "tailwart:owner") == environment.mail_host
    assert "NOAUTH" in shell("backends", "valkey-cli PING", check=False)
    listening = shell("backends", "ss -Hlnt 'sport = :6379'")
    addresses = {line.split()[3].rpartition(":")[0].strip("[]") for line in listening.splitlines()}
    assert addresses == {"127.0.0.1", "::1", *shell("backends", "tailscale ip").split()}
    assert deploy(bare).changes == {}

    # And no Redis comes beside it.
    both = variant(bare, bare.with_name("redis"), BACKENDS_INSTALL="postgres,redis,garage")
    assert "valkey is on the backends host" in deploy(both, "--limit", "backends", expect=1).stderr
