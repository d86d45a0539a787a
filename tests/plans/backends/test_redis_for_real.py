"""The Redis that the deploy configures, and the one that others run: a real server takes our file and is asked."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tailwart.backends.redis_server import RedisServer, quoted
from tailwart.errors import TailwartError
from tailwart.hosts import templates
from tailwart.mailbox import names
from tailwart.network import LOOPBACK
from tailwart.runner import Completed
from tailwart.stalwart.settings.stores import OWNER_KEY, probe_redis
from tests.contract.namespace import Namespace, namespace
from tests.daemons import program
from tests.waiting import until

PASSWORD = "quote\" back\\slash 'and' #more %40 ü"
# From 20 databases on: the highest index in use decides how many there are.
SERVER = RedisServer("redis", 6379, PASSWORD, index=19)
OWNER = "mail.example.org"


def url(index: int, password: str = PASSWORD) -> str:
    return f"redis://:{quote(password, safe='')}@127.0.0.1:6379/{index}"


class Sidecar:
    """The mailbox's sidecar, as far as it reaches a store: the namespace in which that store listens."""

    def __init__(self, space: Namespace) -> None:
        self._space = space

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        inside = script.removeprefix(f"docker exec -i {names.SIDECAR} ")
        assert inside != script
        words = self._space.command("sh", "-c", inside)
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
        return Completed(done.returncode == 0, done.stdout, done.stderr)


@contextmanager
def serving(space: Namespace, directory: Path) -> Iterator[None]:
    conf = directory / "tailwart.conf"
    conf.write_text(
        templates.render(
            "backends/redis.conf.j2",
            addresses=LOOPBACK,
            port=SERVER.port,
            password=quoted(PASSWORD),
            databases=max(16, SERVER.index + 1),
        )
    )
    distribution = directory / "redis.conf"
    distribution.write_text("bind 127.0.0.1 -::1\nport 6379\ndatabases 16\n")
    redis = program("redis-server", "apt-get install redis-server")
    words = space.command(redis, distribution, "--daemonize", "no", "--dir", directory, "--include", conf)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: "PONG" in said(space, "PING"), "Redis to answer", 60, pause=0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


def said(space: Namespace, *words: str, index: int = 0, password: str = PASSWORD) -> str:
    """What redis-cli is told, past what is tested."""
    line = f"REDISCLI_AUTH={shlex.quote(password)} redis-cli -n {index} {shlex.join(words)} 2>&1"
    return subprocess.run(space.command("sh", "-c", line), capture_output=True, text=True, check=False).stdout.strip()


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    with namespace() as made, serving(made, tmp_path_factory.mktemp("redis")):
        yield made


def test_the_server_takes_our_file_with_any_password_and_enough_databases(space: Namespace) -> None:
    assert said(space, "PING", index=19) == "PONG"
    assert "NOAUTH" in said(space, "PING", password="")
    assert "out of range" in said(space, "PING", index=20)
    assert said(space, "CONFIG", "GET", "protected-mode").split()[-1] in ("yes", "no")


def test_an_empty_index_becomes_ours_and_stays_so(space: Namespace) -> None:
    probe_redis(Sidecar(space), url(3), OWNER)
    assert said(space, "GET", OWNER_KEY, index=3) == OWNER
    said(space, "SET", "a-lock", "held", index=3)
    probe_redis(Sidecar(space), url(3), OWNER)
    with pytest.raises(TailwartError, match="in use by something else") as caught:
        probe_redis(Sidecar(space), url(3), "mail.other.example")
    assert OWNER in caught.value.seen


def test_keys_of_another_application_and_wrong_settings_are_told_apart(space: Namespace) -> None:
    said(space, "SET", "session:1", "somebody", index=5)
    with pytest.raises(TailwartError, match="index 5 of Redis") as caught:
        probe_redis(Sidecar(space), url(5), OWNER)
    assert "no mark of this server" in caught.value.seen
    assert said(space, "DBSIZE", index=5) == "1", "nothing was written beside them"
    with pytest.raises(TailwartError, match="does not accept") as caught:
        probe_redis(Sidecar(space), url(20), OWNER)
    assert "out of range" in caught.value.seen
    with pytest.raises(TailwartError, match="does not accept") as caught:
        probe_redis(Sidecar(space), url(3, "wrong"), OWNER)
    assert "NOAUTH" in caught.value.seen
