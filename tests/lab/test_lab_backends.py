"""The stores' host: PostgreSQL, Redis and Garage by the deploy, and what is wrong with them told apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from lab import hosts
from tailwart.environment import Environment
from tests.lab import outside
from tests.lab.deploying import deploy, run_pyinfra, variant
from tests.lab.mailbox import shell
from tests.waiting import until

_HBA = "/etc/postgresql/17/main/pg_hba.conf"
_MARK = "tailwart:owner"


def sql(text: str, database: str = "postgres") -> str:
    command = ["su", "postgres", "-c", f"psql -XAtq {database}"]
    return hosts.exec("backends", command, stdin=text.encode()).stdout.decode().strip()


def redis(environment: Environment, *words: str, index: int = 3) -> str:
    assert environment.redis_url is not None
    password = unquote(urlsplit(environment.redis_url.get_secret_value()).password or "")
    script = f'read -r REDISCLI_AUTH; export REDISCLI_AUTH; redis-cli -n {index} "$@"'
    command = ["sh", "-c", script, "redis", *words]
    return hosts.exec("backends", command, stdin=f"{password}\n".encode()).stdout.decode().strip()


def admin(path: str) -> dict[str, object]:
    """An answer of Garage's admin API, asked past the deploy."""
    token = "$(cat /opt/tailwart/backends/garage/admin-token)"
    text = shell("backends", f"curl -fsS -H \"Authorization: Bearer {token}\" 'http://127.0.0.1:3903/v2/{path}'")
    found: dict[str, object] = json.loads(text)
    return found


def bucket() -> dict[str, object]:
    return admin("GetBucketInfo?globalAlias=stalwart-mail")


@pytest.mark.leaves_deployed
def test_mail_is_in_the_stores_that_the_deploy_has_installed(deployed: Path, environment: Environment) -> None:
    """Tables in the database, bodies in the bucket, keys in the one index, and nothing open to anybody else."""
    before = bucket()
    user = environment.accounts[0]
    address = f"{user.name}@{environment.domain}"
    token = outside.mail_in(address)
    outside.read_back(address, user.password.get_secret_value(), token)

    assert int(sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "stalwart")) > 0
    until(lambda: int(str(bucket()["objects"])) > int(str(before["objects"])), "the body to be in the bucket", 30)
    assert redis(environment, "GET", _MARK) == environment.mail_host
    assert redis(environment, "DBSIZE", index=0) == "0"

    listening = shell("backends", "ss -Hlnt 'sport = :5432 or sport = :6379 or sport = :3900 or sport = :3903'")
    addresses = {line.split()[3].rpartition(":")[0].strip("[]") for line in listening.splitlines()}
    own = set(shell("backends", "tailscale ip").split())
    assert addresses == {"127.0.0.1", "::1", *own}
    assert {line.split()[3].rpartition(":")[2] for line in listening.splitlines()} == {"5432", "6379", "3900", "3903"}
    assert sql("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'trust'") == "0"
    assert "NOAUTH" in shell("backends", "redis-cli PING", check=False)
    assert shell("backends", "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:3900/stalwart-mail") == "403"


@contextmanager
def rules(*lines: str, alone: bool = False) -> Iterator[None]:
    """The server with these lines before its own in pg_hba.conf, or alone, as somebody may have written them."""
    own = shell("backends", f"cat {_HBA}")
    text = "".join(f"{line}\n" for line in lines) + ("" if alone else own)
    hosts.exec("backends", ["sh", "-c", f"cat >{_HBA}"], stdin=text.encode())
    sql("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        hosts.exec("backends", ["sh", "-c", f"cat >{_HBA}"], stdin=own.encode())
        sql("SELECT pg_reload_conf()")


def others(deployed: Path, path: Path, **changes: str | None) -> Path:
    """The same stores, as if others ran them."""
    return variant(deployed, path, BACKENDS_INSTALL=None, HARDEN_SKIP="backends", **changes)


@pytest.mark.leaves_deployed
def test_what_has_drifted_on_our_own_host_is_repaired(deployed: Path) -> None:
    """Password, rights, grant and files: one run repairs them all, and the next changes nothing."""
    sql("ALTER ROLE stalwart PASSWORD 'drifted' CREATEDB; GRANT CONNECT ON DATABASE stalwart TO PUBLIC")
    shell("backends", f"echo 'host all all 127.0.0.1/32 trust' >>{_HBA}")
    sql("SELECT pg_reload_conf()")
    key = str(bucket()["keys"][0]["accessKeyId"])  # type: ignore[index]  # JSON
    body = json.dumps(
        {"bucketId": bucket()["id"], "accessKeyId": key, "permissions": {"read": True, "write": True, "owner": False}}
    )
    token = "$(cat /opt/tailwart/backends/garage/admin-token)"
    denied = f'curl -fsS -H "Authorization: Bearer {token}" -d @- http://127.0.0.1:3903/v2/DenyBucketKey'
    hosts.exec("backends", ["sh", "-c", denied], stdin=body.encode())
    # Written by a run that died before the restart.
    shell("backends", "sed -i 's/^databases .*/databases 99/' /etc/redis/tailwart.conf")

    changed = deploy(deployed, "--limit", "backends").changes["backends"]
    assert len([name for name in changed if "PostgreSQL" in name or "role" in name]) == 2, changed
    assert any("bucket" in name for name in changed)
    assert any("Redis" in name for name in changed)
    assert sql("SELECT rolcreatedb FROM pg_roles WHERE rolname = 'stalwart'") == "f"
    assert sql("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'trust'") == "0"
    assert deploy(deployed, "--limit", "backends").changes == {}


@pytest.mark.leaves_deployed
def test_faults_of_a_server_that_others_run_are_told_apart_and_left(deployed: Path, tmp_path: Path) -> None:
    foreign = others(deployed, tmp_path / "foreign")
    with rules("host all all 127.0.0.1/32 trust"):
        run = run_pyinfra(foreign, "-y", "--limit", "backends")
        assert run.code == 0, run.last_lines
        assert "pg_hba.conf trusts 127.0.0.1" in run.output
        assert "trust" in shell("backends", f"head -n 1 {_HBA}"), "nothing of theirs is changed"
    trusting = ("local all all peer", "host all all 100.64.0.0/10 trust", "host all all fd7a:115c:a1e0::/48 trust")
    for lines, expected in ((trusting, "takes any password"), (trusting[:1], "has no line for it")):
        with rules(*lines, alone=True):
            run = run_pyinfra(foreign, "-y", "--limit", "backends")
            assert (run.code, expected in run.last_lines) == (1, True), run.last_lines
    wrong = others(deployed, tmp_path / "wrong", STALWART_DB_PORT="5433")
    run = run_pyinfra(wrong, "-y", "--limit", "backends")
    assert run.code == 1
    assert "STALWART_DB_PORT=5432" in run.last_lines
    shell(
        "backends", "sed -i 's/^listen_addresses.*/listen_addresses = localhost/' /etc/postgresql/17/main/conf.d/*.conf"
    )
    shell("backends", "systemctl restart postgresql@17-main")
    run = run_pyinfra(foreign, "-y", "--limit", "backends")
    assert run.code == 1
    for expected in ("does not answer on the tailnet", "listens on: localhost", "listen_addresses"):
        assert expected in run.last_lines
    # Our own again: the same deploy that would have installed it puts it right.
    assert deploy(deployed, "--limit", "backends").changes["backends"]


def test_keys_of_another_application_in_the_index_stop_the_run(
    deployed: Path, environment: Environment, tmp_path: Path
) -> None:
    redis(environment, "SET", "session:1", "somebody", index=5)
    assert environment.redis_url is not None
    other = environment.redis_url.get_secret_value().rpartition("/")[0] + "/5"
    run = run_pyinfra(variant(deployed, tmp_path / "env", REDIS_URL=other), "-y", "--limit", "mailbox")
    assert run.code == 1
    assert "index 5 of Redis" in run.last_lines
    assert redis(environment, "GET", "session:1", index=5) == "somebody"
    redis(environment, "FLUSHDB", index=5)
