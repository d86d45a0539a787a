"""What counts from the next start only, and starts that go wrong."""

from __future__ import annotations

from pathlib import Path

from tests.contract.installation import WITH_ADMIN, install, listener
from tests.contract.postgres import STORE
from tests.contract.server import RECOVERY, Server
from tests.contract.wire import STRANGER, TRUSTED, Wire


def _open(server: Server, port: int) -> bool:
    try:
        server.space.connect(port, timeout=2).close()
    except OSError:
        return False
    return True


def test_a_listener_is_opened_by_the_next_start(own: Server) -> None:
    with own.running(WITH_ADMIN):
        install(own)
        own.call(RECOVERY, ("x:Action/set", {"create": {"a": {"@type": "ReloadSettings"}}}))
        assert not _open(own, 587)
        with Wire(own.space, 25, source=TRUSTED) as wire:
            assert wire.line().startswith("220 "), "trust is read at start as well"
    with own.running():
        assert _open(own, 587)
        with Wire(own.space, 25, source=TRUSTED) as wire:
            assert wire.silent(1)


def test_both_address_families_are_served_by_one_bind(own: Server) -> None:
    with own.running(WITH_ADMIN):
        for host in ("127.0.0.1", "::1"):
            own.space.connect(8080, host=host, timeout=5).close()


def test_recovery_mode_opens_8080_alone_and_leaves_the_data(own: Server) -> None:
    with own.running(WITH_ADMIN):
        install(own)
    with own.running({"STALWART_RECOVERY_MODE": "1", **WITH_ADMIN}):
        assert not any(_open(own, port) for port in (25, 143, 443, 465, 587, 993))
        ((_, listeners),) = own.call(RECOVERY, ("x:NetworkListener/get", {"ids": None}))
        assert "submission" in {each["name"] for each in listeners["list"]}


def test_the_global_trust_makes_8080_demand_the_header(own: Server) -> None:
    trust = {"proxyTrustedNetworks": {f"{TRUSTED}/32": True}}
    with own.running(WITH_ADMIN):
        install(own)
        own.call(RECOVERY, ("x:SystemSettings/set", {"update": {"singleton": trust}}))
    with own.running(WITH_ADMIN):
        with Wire(own.space, 8080, source=STRANGER) as wire:
            wire.send("GET /healthz/live HTTP/1.0\r\n")
            assert wire.line().endswith("200 OK")
        with Wire(own.space, 8080, source=TRUSTED, header=True) as wire:
            wire.send("GET /healthz/live HTTP/1.0\r\n")
            assert wire.line().endswith("200 OK")
        with Wire(own.space, 8080, source=TRUSTED) as wire:
            wire.send("GET /healthz/live HTTP/1.0\r\n")
            assert wire.silent(2)
        own.call(RECOVERY, ("x:SystemSettings/set", {"update": {"singleton": {"proxyTrustedNetworks": {}}}}))


def test_a_store_first_filled_in_recovery_mode_gets_no_defaults_of_the_kinds_it_has(own: Server) -> None:
    with own.running({"STALWART_RECOVERY_MODE": "1", **WITH_ADMIN}):
        http = {**listener("http", 8080, "http"), "overrideProxyTrustedNetworks": {}, "useTls": False}
        own.call(RECOVERY, ("x:NetworkListener/set", {"create": {"h": http}}))
    with own.running(WITH_ADMIN):
        (_, listeners), (_, routes) = own.call(
            RECOVERY, ("x:NetworkListener/get", {"ids": None}), ("x:MtaRoute/get", {"ids": None})
        )
        assert [each["name"] for each in listeners["list"]] == ["http"]
        assert {each["name"] for each in routes["list"]} == {"mx", "local"}


def test_an_unreachable_database_ends_the_start(own: Server, tmp_path: Path) -> None:
    """Lesson 1: what happens when the server wins the race against the route to its database."""
    result = Server(own.space, tmp_path, STORE).run()
    assert result.returncode == 1
    assert "⚠️ Startup failed: Failed to create tables: PostgreSQL error" in result.stdout + result.stderr


def test_the_binary_tells_its_version(each_version: Server) -> None:
    result = each_version.run("--version")
    assert result.returncode == 0
    assert each_version.version in result.stdout + result.stderr


def test_the_first_system_settings_name_the_host_and_the_domain(own: Server) -> None:
    with own.running(WITH_ADMIN):
        for incomplete in ({"defaultHostname": "mail.example.org"}, {"maxConnections": 4096}):
            ((_, body),) = own.call(RECOVERY, ("x:SystemSettings/set", {"update": {"singleton": incomplete}}))
            assert body["notUpdated"]["singleton"]["type"] == "validationFailed"


def test_the_recommended_zone_follows_a_new_hostname_after_a_restart(own: Server) -> None:
    def zone() -> str:
        ((_, body),) = own.call(RECOVERY, ("x:Domain/get", {"ids": None, "properties": ["dnsZoneFile"]}))
        found: str = body["list"][0]["dnsZoneFile"]
        return found

    with own.running(WITH_ADMIN):
        install(own)
    with own.running(WITH_ADMIN):
        assert "mail.example.org." in zone()
        other = {"update": {"singleton": {"defaultHostname": "mx.example.org"}}}
        own.call(RECOVERY, ("x:SystemSettings/set", other))
        assert "mx.example.org." not in zone()
    with own.running(WITH_ADMIN):
        assert "mx.example.org." in zone()


def test_every_start_fills_in_the_defaults_of_kinds_that_have_no_entry(own: Server) -> None:
    with own.running(WITH_ADMIN):
        ((_, listed),) = own.call(RECOVERY, ("x:MtaInboundThrottle/get", {"ids": None}))
        assert len(listed["list"]) == 2
        own.call(RECOVERY, ("x:MtaInboundThrottle/set", {"destroy": [each["id"] for each in listed["list"]]}))
    with own.running(WITH_ADMIN):
        ((_, listed),) = own.call(RECOVERY, ("x:MtaInboundThrottle/get", {"ids": None}))
        assert {each["rate"]["count"] for each in listed["list"]} == {5, 25}
