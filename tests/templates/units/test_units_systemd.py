"""Units of each kind on a real systemd: activated once, and repaired after a run that died at any point."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tailwart.errors import TailwartError
from tailwart.hosts import units
from tailwart.hosts.files import HostFile
from tailwart.hosts.units import Unit, drift
from tailwart.operations import hostfiles
from tailwart.operations.remote import gather
from tailwart.operations.systemd import start
from tests.templates.units.conftest import Systemd
from tests.waiting import until

LOOP = "while :; do sleep 1000; done"


def declared(systemd: Systemd, kind: str, script: str) -> Unit:
    """A unit of this kind; a path unit copies the file ``in`` to ``out``."""
    directory = systemd.directory
    file = HostFile(f"{directory}/run.sh", f"{script}\n", "0755")
    if kind == "service":
        return units.service("demo", description="Demo", script=file, options=("Restart=always",))
    if kind == "timer":
        return units.timer("demo", description="Demo", script=file, schedule=("OnCalendar=03:00",))
    done = f"cmp -s {directory}/in {directory}/out"
    return units.path("demo", description="Demo", script=file, changed=f"{directory}/in", done=done)


def reasons(systemd: Systemd, unit: Unit) -> list[str]:
    return drift(unit, gather(systemd, unit.watch))


def script(systemd: Systemd, kind: str, version: int) -> str:
    body = LOOP if kind == "service" else f"cp {systemd.directory}/in {systemd.directory}/out"
    return f"{body} # {version}"


@pytest.mark.parametrize("kind", ["service", "timer", "path"])
def test_a_unit_is_activated_once_and_again_after_a_run_that_died(systemd: Systemd, kind: str) -> None:
    (systemd.directory / "in").write_text("one")
    first, second = (declared(systemd, kind, script(systemd, kind, version)) for version in (1, 2))
    assert reasons(systemd, first), "a host without the unit"
    start(systemd, first)
    assert reasons(systemd, first) == []

    assert reasons(systemd, second), "another version is desired"
    hostfiles.write(systemd, second.files)
    assert reasons(systemd, second), "a run died after it wrote the files"
    systemd("systemctl daemon-reload")
    if kind == "service":
        assert reasons(systemd, second) == ["demo.service runs an older version"], "a run died before the restart"
    start(systemd, second)
    assert reasons(systemd, second) == []

    systemd(f"systemctl stop {second.name}")
    assert reasons(systemd, second) == [f"{second.name} is inactive"]
    start(systemd, second)
    systemd(f"systemctl disable {second.name}")
    assert reasons(systemd, second) == [f"{second.name} is disabled"]
    start(systemd, second)
    assert reasons(systemd, second) == []


def test_a_path_unit_sees_a_change_and_one_from_before_its_start(systemd: Systemd) -> None:
    before, after = systemd.directory / "in", systemd.directory / "out"
    before.write_text("from before")
    unit = declared(systemd, "path", script(systemd, "path", 1))
    start(systemd, unit)
    assert after.read_text() == "from before"
    before.write_text("changed later")
    until(lambda: after.read_text() == "changed later", "the path unit to see the change", 20)
    after.write_text("damaged")
    assert reasons(systemd, unit) == ["demo.service has work to do"]


def test_a_service_that_ends_at_once_is_found_failed(systemd: Systemd) -> None:
    unit = units.service("demo", description="Demo", script=HostFile(f"{systemd.directory}/run.sh", "exit 7\n", "0755"))
    # Whether systemd has noticed the end already when the operation verifies is a matter of luck.
    with suppress(TailwartError):
        start(systemd, unit)
    until(lambda: reasons(systemd, unit) == ["demo.service is failed"], "the service to be seen as failed", 20)
