"""What a backends host of ours lacks, from its facts: packages, files, and what runs with older ones."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from tailwart.backends import packages, plan
from tailwart.backends.addresses import EarlyBinding
from tailwart.backends.garage_server import GarageServer
from tailwart.backends.packages import missing
from tailwart.backends.postgres_server import PostgresServer
from tailwart.backends.redis_server import RedisServer, quoted
from tailwart.errors import TailwartError
from tailwart.hosts import membership
from tailwart.hosts.files import HostFile
from tailwart.hosts.report import HostReport, PathState, Probe
from tests.unit.mailbox.test_mailbox_render import environment

ADDRESSES = ("100.64.0.5", "fd7a:115c:a1e0::5")
NODE = json.dumps({"BackendState": "Running", "Self": {"TailscaleIPs": list(ADDRESSES)}})
POSTGRES = PostgresServer(5432)
REDIS = RedisServer("redis", 6379, 'pass"word\\', 20)


def report(**probes: str) -> HostReport:
    found = {"tailscale": NODE, **probes}
    return HostReport(probes={name: Probe(0, text.encode()) for name, text in found.items()})


def with_files(found: HostReport, *files: HostFile) -> HostReport:
    return replace(found, paths={file.path: PathState("file", file.mode, file.owner, file.sha256) for file in files})


def test_a_bare_host_gets_every_package() -> None:
    stores = ("postgres", "redis", "garage")
    assert missing(stores, report(stores="")) == ["postgresql", "redis-server", "curl"]


def test_a_killed_installation_goes_on_and_a_finished_one_is_left_alone() -> None:
    half = "mark postgres\nmark redis\nmark garage\ninstalled curl\n"
    assert missing(("postgres", "redis", "garage"), report(stores=half)) == ["postgresql", "redis-server"]
    whole = half + "installed postgresql\ninstalled redis-server\nserver postgres /usr/lib/postgresql/17/bin/postgres\n"
    assert missing(("postgres", "redis", "garage"), report(stores=whole)) == []


def test_a_server_that_was_there_before_is_somebody_elses() -> None:
    seen = "installed postgresql\nserver postgres /usr/lib/postgresql/15/bin/postgres\n"
    with pytest.raises(TailwartError, match="was on the backends host before") as caught:
        missing(("postgres",), report(stores=seen))
    assert "BACKENDS_INSTALL" in caught.value.remedy


@pytest.mark.parametrize(
    ("found", "remedy"), [("", "used as it is"), ("twin-mark redis\n", "apt-get purge redis-server")]
)
def test_valkey_does_not_come_beside_a_redis_on_the_same_port(found: str, remedy: str) -> None:
    with pytest.raises(TailwartError, match="redis is on the backends host") as caught:
        missing(("valkey",), report(stores=f"twin redis /usr/bin/redis-server\n{found}"))
    assert remedy in caught.value.remedy
    assert "redis-server" in packages.watch(("valkey",)).probes[0][1]


def test_marks_are_left_before_anything_is_installed() -> None:
    script = packages.install(("postgres",), ["postgresql"])
    assert script.index("installed-postgres") < script.index("install postgresql")


def cluster(*rows: str) -> HostReport:
    return report(postgres="\n".join(("cluster|17|main", "memory|2097152", *rows)))


def postgres_rows() -> list[str]:
    files = POSTGRES.files(cluster())
    return [f"file|{file.path}|{file.mode.lstrip('0')}|{file.owner}|{file.sha256}" for file in files]


def test_postgres_listens_on_the_tailnet_and_loopback_and_trusts_nobody() -> None:
    conf, hba = (str(file.content) for file in POSTGRES.files(cluster()))
    assert "listen_addresses = '127.0.0.1,::1,100.64.0.5,fd7a:115c:a1e0::5'" in conf
    assert "shared_buffers = 256MB" in conf
    methods = [line.split()[-1] for line in hba.splitlines() if line and not line.startswith("#")]
    assert methods == ["peer", *["scram-sha-256"] * 4]
    assert "100.64.0.0/10" in hba


def test_postgres_is_up_to_date_only_with_what_it_really_runs_with() -> None:
    rows = postgres_rows()
    assert POSTGRES.drift(cluster(*rows, "up")) == []
    assert POSTGRES.drift(cluster(*rows, "restart|port", "up")) == ["PostgreSQL has to restart for port"]
    assert POSTGRES.drift(cluster(*rows, "reload|/etc/x", "up")) == ["PostgreSQL has not read /etc/x"]
    assert POSTGRES.drift(cluster(*rows)) == ["PostgreSQL does not run"]
    assert "pg_hba.conf changes" in POSTGRES.drift(cluster(rows[0], "up"))[0]


@pytest.mark.parametrize("rows", ["", "cluster|15|main\ncluster|17|main"])
def test_one_cluster_is_expected(rows: str) -> None:
    with pytest.raises(TailwartError, match="cluster"):
        POSTGRES.drift(report(postgres=rows))


def test_without_an_address_on_the_tailnet_nothing_is_configured() -> None:
    offline = cluster()
    offline = replace(offline, probes={**offline.probes, membership.PROBE: Probe(0, b"{}")})
    with pytest.raises(TailwartError, match="not on the tailnet"):
        POSTGRES.files(offline)


def running(*files: HostFile, active: str = "active", reload: str = "no") -> str:
    started = hashlib.sha256(b"".join(file.data for file in files)).hexdigest()
    return f"ActiveState={active}\nUnitFileState=enabled\nNeedDaemonReload={reload}\n\n{started}  -\n"


def test_redis_restarts_exactly_when_it_runs_with_other_files() -> None:
    files = REDIS.files(report())
    assert REDIS.drift(with_files(report(redis=running(*files)), *files)) == []
    old = running(HostFile("/x", "older"))
    assert REDIS.drift(with_files(report(redis=old), *files)) == ["redis-server.service runs with older settings"]
    reload = running(*files, reload="yes")
    assert REDIS.drift(with_files(report(redis=reload), *files)) == ["redis-server.service runs with older settings"]
    dead = running(*files, active="failed")
    assert REDIS.drift(with_files(report(redis=dead), *files)) == ["redis-server.service does not run"]


def test_redis_has_a_password_and_enough_databases_and_only_its_own_user_reads_it() -> None:
    conf, lines = REDIS.files(report())
    assert 'requirepass "pass\\x22word\\x5c"' in str(conf.content)
    assert "databases 21" in str(conf.content)
    assert "bind 127.0.0.1 ::1 100.64.0.5 fd7a:115c:a1e0::5" in str(conf.content)
    assert (conf.mode, conf.owner, conf.secret) == ("0600", "redis:redis", True)
    assert "pass" not in str(lines.content).replace("redis-server", "")


def test_valkey_is_the_same_under_its_own_name() -> None:
    conf, lines = RedisServer("valkey", 6379, "secret").files(report())
    assert (conf.path, conf.owner) == ("/etc/valkey/tailwart.conf", "valkey:valkey")
    assert "/usr/bin/valkey-server /etc/valkey/valkey.conf" in str(lines.content)


def test_a_word_of_redis_conf_says_the_same_bytes() -> None:
    assert quoted("aü7") == '"a\\xc3\\xbc7"'


def test_the_kernel_lets_stores_bind_before_the_tailnet_is_up() -> None:
    early = EarlyBinding()
    (file,) = early.files(report())
    assert early.drift(with_files(report(early="1\n1\n"), file)) == []
    assert early.drift(with_files(report(early="0\n1\n"), file)) == ["the kernel has another setting"]


def test_garage_publishes_its_port_on_loopback_and_the_tailnet_alone() -> None:
    project = GarageServer("dxflrs/garage:v2.5.0", 3900, "garage").project(ADDRESSES)
    compose = next(str(file.content) for file in project.files if file.path.endswith("compose.yaml"))
    published = [line.strip(' -"') for line in compose.splitlines() if line.strip().startswith('- "') and ":39" in line]
    assert published == [
        "127.0.0.1:3900:3900",
        "100.64.0.5:3900:3900",
        "[fd7a:115c:a1e0::5]:3900:3900",
        "127.0.0.1:3903:3903",
    ]


def test_the_stores_host_has_its_hour_for_a_reboot_like_every_other() -> None:
    assert plan.role(environment(reboot_time="03:40")).reboot == "03:40"
    assert plan.role(environment()).reboot == ""
