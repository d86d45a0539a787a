"""Newer packages of PostgreSQL and Redis: which steps are taken, what is kept, and what serves when one fails."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tailwart.backends.plan import BackendsPlan
from tailwart.backends.postgres_server import PostgresServer
from tailwart.backends.redis_server import RedisServer
from tailwart.errors import TailwartError
from tailwart.hosts.membership import Membership
from tailwart.hosts.report import HostReport
from tailwart.runner import Completed
from tailwart.upgrade import packages, stores
from tailwart.upgrade.packages import Note, Package, Store

POSTGRES = Store("PostgreSQL", "^postgresql-[0-9]+$", "postgresql@*.service", 5432)
REDIS = Store("Redis", "^redis$", "redis-server.service", 6379, "/var/lib/redis")
SAID = """\
Own libpq5
Own postgresql-client-17
Own postgresql-17
NOTE: This is only a simulation!
Inst libicu76 [76.1-4] (76.1-5 Debian:13.6/stable [amd64])
Inst libpq5 [17.12-0+deb13u1] (17.13-0+deb13u1 Debian-Security:13/stable-security [amd64])
Inst postgresql-17 [17.12-0+deb13u1] (17.13-0+deb13u1 Debian-Security:13/stable-security [amd64]) []
Inst libnew1 (1.0-1 Debian:13.6/stable [amd64])
Inst postgresql-client-17 [17.12-0+deb13u1] (17.13-0+deb13u1 Debian-Security:13/stable-security [amd64])
Conf postgresql-17 (17.13-0+deb13u1 Debian-Security:13/stable-security [amd64])
"""
FOUND = (Package("redis-server", "5:8.0.2-3", "5:8.0.5-1"), Package("redis-tools", "5:8.0.2-3", "5:8.0.5-1"))

INSTALLING = "--no-install-recommends --only-upgrade install"


class Host:
    """A backends host; `answers` says how a script ends that holds a word, `note` what an earlier run has left."""

    def __init__(self, answers: dict[str, bool] | None = None) -> None:
        self.scripts: list[str] = []
        self._answers = answers or {}

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.scripts.append(script)
        ok = all(answer for word, answer in self._answers.items() if word in script)
        said = "2000" if "/gaps 2>" in script else "written"
        return Completed(ok, said if ok else "", "" if ok else "E: it did not work")

    def index(self, word: str) -> int:
        """The place of the first script with that word."""
        return next(number for number, script in enumerate(self.scripts) if word in script)


@pytest.fixture(autouse=True)
def _facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "gather", lambda run, watch: HostReport())


class Served(RedisServer):
    """A Redis that is as it should be."""

    def drift(self, report: HostReport) -> list[str]:
        return []


class Dead(RedisServer):
    """A Redis that never comes up."""

    def drift(self, report: HostReport) -> list[str]:
        return ["redis-server.service does not run"]


def upgrade(host: Host, server: RedisServer, prove: Callable[[], None] = lambda: None) -> float:
    @contextmanager
    def held() -> Iterator[None]:
        host.scripts.append("held")
        yield
        host.scripts.append("resumed")

    return stores.upgrade(host, REDIS, server, FOUND, held=held, prove=prove, log=lambda _: None)


def test_the_stores_own_packages_are_named_and_no_others() -> None:
    found = packages.newer(POSTGRES, SAID)
    assert [item.name for item in found] == ["postgresql-17", "libpq5", "postgresql-client-17"]
    assert found[0] == Package("postgresql-17", "17.12-0+deb13u1", "17.13-0+deb13u1")
    assert packages.newer(POSTGRES, "Own postgresql-17\n") == ()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Inst redis-server [5:7.2.4-1] (5:8.0.2-3 Debian:13/stable [amd64])", "no direct way"),
        ("Remv postgresql-17 [17.12-0]", "would remove packages"),
    ],
)
def test_a_step_that_nobody_knows_to_be_good_is_refused(line: str, expected: str) -> None:
    with pytest.raises(TailwartError, match=expected) as caught:
        packages.newer(REDIS, f"Own redis-server\n{line}\n")
    assert caught.value.remedy


def test_an_archive_that_does_not_answer_is_told() -> None:
    with pytest.raises(TailwartError, match="cannot be asked") as caught:
        stores.newer(Host({"apt-get -s": False}), REDIS)
    assert "it did not work" in caught.value.seen


def test_the_stores_of_the_settings_come_in_packages() -> None:
    member = Membership("tail1234.ts.net", ("tag:stores",), "", name="stores", host="", setting="", key_setting="")
    plan = BackendsPlan(("postgres", "redis"), member, PostgresServer(5432), Served("redis", 6379, "x"))
    assert [(store.title, store.port, store.data) for store, _ in stores.stores(plan)] == [
        ("PostgreSQL", 5432, ""),
        ("Redis", 6379, "/var/lib/redis"),
    ]
    assert stores.stores(BackendsPlan((), member)) == []


def test_everything_is_there_before_anything_stops_and_the_note_ends_with_the_proof() -> None:
    host = Host()
    proven: list[int] = []
    seconds = upgrade(host, Served("redis", 6379, "x"), lambda: proven.append(len(host.scripts)))
    order = [host.index(word) for word in ("dpkg-deb", "--download-only", "upgrade-packages.json", "held", INSTALLING)]
    assert order == sorted(order)
    assert host.index("resumed") < proven[0] <= host.index("rm -f /var/lib/tailwart/upgrade-packages.json")
    assert seconds == 2.0
    assert "redis-server=5:8.0.5-1" in host.scripts[host.index("--download-only")]


def test_what_cannot_be_fetched_changes_nothing() -> None:
    host = Host({"--download-only": False})
    with pytest.raises(TailwartError, match="what serves still does"):
        upgrade(host, Served("redis", 6379, "x"))
    assert "held" not in host.scripts


@pytest.mark.parametrize(
    ("host", "prove"),
    [(Host({INSTALLING: False}), False), (Host(), True)],
)
def test_a_version_that_fails_is_taken_back_and_held(host: Host, prove: bool) -> None:
    def fails() -> None:
        raise TailwartError("a message is accepted and does not arrive")

    with pytest.raises(TailwartError, match=r"Redis 5:8.0.2-3 → 5:8.0.5-1 failed and was taken back") as caught:
        upgrade(host, Served("redis", 6379, "x"), fails if prove else lambda: None)
    back = host.scripts[host.index("--force-downgrade")]
    assert "apt-mark hold redis-server redis-tools" in back
    assert "/var/lib/redis.failed" in back, "the files of before, where the newer ones are not read"
    assert "redis-server 5:8.0.2-3" in back
    assert "2.0 s" in caught.value.seen
    assert host.index("rm -f /var/lib/tailwart/upgrade-packages.json") > host.index("--force-downgrade")


def test_when_neither_serves_the_note_stays_and_the_place_of_the_packages_is_said() -> None:
    host = Host()
    with pytest.raises(TailwartError, match="does not come up either") as caught:
        upgrade(host, Dead("redis", 6379, "x"))
    assert packages.KEPT in caught.value.expected
    assert not any(script == f"rm -f {packages.NOTE}" for script in host.scripts)


def test_a_run_that_died_is_proven_or_taken_back_by_the_next_one() -> None:
    note = Note("Redis", FOUND)
    assert packages.parse(note.dump()) == note
    assert packages.parse("") is packages.parse('{"title": 1}') is None
    host = Host()
    stores.conclude(host, REDIS, Served("redis", 6379, "x"), note, prove=lambda: None)
    assert "--only-upgrade install redis-server=5:8.0.5-1" in host.scripts[0], "what was half installed is finished"
    assert host.scripts[-1] == f"rm -f {packages.NOTE}"


@pytest.mark.parametrize("store", [POSTGRES, REDIS])
def test_every_script_is_posix_shell(store: Store) -> None:
    scripts = (packages.ask(store), packages.keep(store, FOUND), packages.fetch(FOUND))
    for script in (*scripts, packages.swap(store, FOUND), packages.back(store, FOUND)):
        done = subprocess.run(["dash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_an_installed_package_is_built_again_from_its_files(tmp_path: Path) -> None:
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "hostname"], capture_output=True, text=True, check=True
    )
    kept = tmp_path / "kept"
    script = packages.keep(POSTGRES, [Package("hostname", shown.stdout, "x")], str(kept))
    subprocess.run(["sh", "-c", script], check=True)
    (built,) = kept.glob("*.deb")
    fields = subprocess.run(
        ["dpkg-deb", "-f", built, "Package", "Version", "Status"], capture_output=True, text=True, check=True
    )
    assert fields.stdout == f"Package: hostname\nVersion: {shown.stdout}\n"
    subprocess.run(["dpkg-deb", "-x", built, tmp_path / "files"], check=True)
    again = tmp_path / "files/usr/bin/hostname"
    if not again.exists():
        again = tmp_path / "files/bin/hostname"
    assert again.read_bytes() == Path("/bin/hostname").read_bytes()
    assert again.stat().st_mode == Path("/bin/hostname").stat().st_mode
