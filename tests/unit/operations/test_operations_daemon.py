"""daemon.json is merged only for old engines, never replaced; the engine restarts only when it lacks its settings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart.errors import TailwartError
from tailwart.hosts.engine import IPV6_NAT, merge, needs, numbers
from tailwart.hosts.report import Engine, HostReport
from tailwart.hosts.watch import DAEMON_JSON, ENGINE_INSTALLING, ENGINE_MARKER

UP_TO_DATE = merge(None)


def report(
    version: str = "26.1.5+dfsg1", settings: bytes | None = UP_TO_DATE, marker: bytes | None = None, force: bool = True
) -> HostReport:
    contents = {DAEMON_JSON: settings, ENGINE_MARKER: marker}
    return HostReport(
        engine=Engine(True, version, force, "2.26.1", True, "boot/12/345"),
        contents={path: data for path, data in contents.items() if data is not None},
    )


def test_a_bare_host_gets_an_engine() -> None:
    assert needs(HostReport(), ipv6_nat=True).install


def test_an_installation_that_was_killed_is_finished_although_the_engine_answers() -> None:
    killed = replace(report(), contents={**report().contents, ENGINE_INSTALLING: b"docker-compose docker.io\n"})
    assert needs(killed, ipv6_nat=True).install
    assert needs(killed, ipv6_nat=False).reasons() == ["container engine and Compose are installed"]


def test_an_engine_that_is_up_to_date_needs_nothing() -> None:
    assert needs(report(), ipv6_nat=True).reasons() == []


@pytest.mark.parametrize("version", ["27.0.0", "28.2.2", "29.1.3+ds"])
def test_an_engine_from_27_on_keeps_its_settings(version: str) -> None:
    assert needs(report(version, settings=b"not even json", force=False), ipv6_nat=True).reasons() == []


def test_an_edge_does_not_touch_the_settings() -> None:
    assert needs(report(settings=None, force=False), ipv6_nat=False).reasons() == []


def test_an_old_engine_without_settings_gets_them_and_a_restart() -> None:
    found = needs(report(settings=None, force=False), ipv6_nat=True)
    assert found.settings is not None
    assert json.loads(found.settings) == IPV6_NAT
    assert found.restart


def test_a_run_killed_between_file_and_restart_is_repaired() -> None:
    # The marker names the daemon that still runs.
    assert needs(report(marker=b"boot/12/345\n"), ipv6_nat=True).restart
    # Without a marker too: the running daemon itself reports that it runs without the setting.
    assert needs(report(force=False), ipv6_nat=True).restart


def test_a_marker_from_before_a_reboot_is_only_removed() -> None:
    found = needs(report(marker=b"otherboot/9/1\n"), ipv6_nat=True)
    assert not found.restart
    assert found.marker_done


@pytest.mark.parametrize("settings", [b"{", b"[]", b'"x"', b"\xff", b"{'a': 1}"])
def test_a_file_that_is_no_json_object_is_refused_with_its_fault(settings: bytes) -> None:
    with pytest.raises(TailwartError, match="left as it is"):
        needs(report(settings=settings, force=False), ipv6_nat=True)


@pytest.mark.parametrize("version", ["1.29.2", "2.16.0"])
def test_a_compose_that_is_too_old_is_refused(version: str) -> None:
    with pytest.raises(TailwartError, match="too old"):
        needs(HostReport(engine=Engine(True, "26.1.5", compose=version)), ipv6_nat=False)


def test_a_stopped_or_disabled_engine_is_started_and_enabled() -> None:
    assert needs(HostReport(engine=Engine(True, "", compose="2.26.1", enabled=True)), ipv6_nat=True).start
    assert needs(HostReport(engine=Engine(True, "28.0", compose="2.26.1", enabled=False)), ipv6_nat=True).start


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), json_values))
def test_merging_keeps_every_other_key_and_is_done_once(document: dict[str, object]) -> None:
    merged = merge(json.dumps(document).encode())
    assert json.loads(merged) == {**document, **IPV6_NAT}
    assert merge(merged) == merged


def test_a_file_that_has_both_keys_stays_byte_for_byte() -> None:
    text = b'{ "ip6tables":true,\n "experimental":true, "log-level":"warn" }'
    assert merge(text) == text
    assert json.loads(merge(b'{"experimental": 1, "ip6tables": true}'))["experimental"] is True


def test_versions() -> None:
    assert numbers("26.1.5+dfsg1") == (26, 1, 5)
    assert numbers("v2.40") == (2, 40)
    with pytest.raises(TailwartError):
        numbers("dev")
