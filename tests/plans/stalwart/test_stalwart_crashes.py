"""A first deploy that crashes after any of its steps on the host is finished by the next one, on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plans.stalwart.stalwart_host import Killed, StalwartHost, stalwart_host
from tests.unit.stalwart.sample import settings


def _dies_at(directory: Path, step: int) -> bool:
    """One host; whether the deploy got that far at all."""
    directory.mkdir()
    with stalwart_host(directory) as host:
        host.kill_at = step
        try:
            host.deploy(settings())
        except Killed:
            pass
        else:
            return False
        host.kill_at = 0
        host.deploy(settings())
        _healthy(host)
    return True


def _healthy(host: StalwartHost) -> None:
    assert host.plane(settings()).observe().up_to_date
    assert not [name for name in host.running_environment() if name.startswith("STALWART_RECOVERY")]
    assert {item["name"] for item in host.objects("MtaRoute")} >= {"mx", "local", "smarthost"}
    assert not (host.home / "restart-required").exists()
    starts = host.starts
    host.deploy(settings())
    assert host.starts == starts, "nothing is left to be done"


def test_a_crash_at_every_step_is_repaired(tmp_path: Path) -> None:
    for step in range(1, 60):
        if not _dies_at(tmp_path / str(step), step):
            assert step > 10
            return
    pytest.fail("the deploy never ended")
