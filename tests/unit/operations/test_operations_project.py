"""Why a project is brought up again: each reason a user could meet, and no reason when all is well."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tailwart.hosts.files import HostFile
from tailwart.hosts.project import ComposeProject, Service, drift, record, stale_namespaces
from tailwart.hosts.report import Container, Engine, HostReport

SIDECAR = Container(
    service="ts-stalwart",
    name="ts-stalwart",
    identifier="c0",
    state="running",
    health="healthy",
    exit_code=0,
    inputs="i0",
    started_at=("2026-11-21T02:00:00", 0),
    network_mode="tailwart-mailbox_default",
    fingerprint="f0",
)
STALWART = replace(
    SIDECAR,
    service="stalwart",
    name="stalwart",
    identifier="c1",
    fingerprint="f1",
    inputs="i1",
    started_at=("2026-11-21T02:00:05", 0),
    network_mode="container:c0",
)
PROJECT = ComposeProject(
    name="tailwart-mailbox",
    directory="/opt/tailwart/mailbox",
    files=(HostFile("/opt/tailwart/mailbox/compose.yaml", "services: {}\n"),),
    services=(Service("ts-stalwart", "i0"), Service("stalwart", "i1", forbidden=("STALWART_RECOVERY_ADMIN",))),
    secrets=("tskey-client-abc", "abc"),
)


def report(*containers: Container, recorded: bool = True) -> HostReport:
    found = HostReport(engine=Engine(True, "26.1.5", compose="2.26.1"), containers=containers or (SIDECAR, STALWART))
    if not recorded:
        return found
    last = HostReport(containers=(SIDECAR, STALWART))
    return replace(found, contents={PROJECT.record_path: record(PROJECT, last).encode()})


def test_nothing_to_do_when_all_runs_as_recorded() -> None:
    assert drift(PROJECT, report()) == []


def test_a_project_that_was_never_brought_up_to_the_end_is_brought_up() -> None:
    assert drift(PROJECT, report(recorded=False)) == ["it was never brought up completely"]


def test_a_changed_compose_file_outlives_a_run_that_died_before_the_up() -> None:
    changed = replace(PROJECT, files=(HostFile(PROJECT.compose_path, "services: {x: {}}\n"),))
    assert drift(changed, report()) == ["compose.yaml or .env is not what was last brought up"]


def test_a_sidecar_that_was_made_anew_from_the_same_files_is_no_reason() -> None:
    # `docker compose down && docker compose up`: other identifiers, and so another hash of Compose's for Stalwart.
    sidecar = replace(SIDECAR, identifier="c8")
    stalwart = replace(STALWART, identifier="c9", network_mode="container:c8")
    assert drift(PROJECT, report(sidecar, stalwart)) == []


def test_a_container_that_somebody_made_from_another_compose_file_is_found() -> None:
    assert drift(PROJECT, report(SIDECAR, replace(STALWART, fingerprint="f-foreign")))


@pytest.mark.parametrize(
    ("containers", "reason"),
    [
        ((SIDECAR,), "stalwart has no container"),
        ((SIDECAR, replace(STALWART, state="exited")), "stalwart is exited"),
        ((replace(SIDECAR, health="unhealthy"), STALWART), "ts-stalwart is unhealthy"),
        ((replace(SIDECAR, health="starting"), STALWART), "ts-stalwart is starting"),
        ((SIDECAR, replace(STALWART, inputs="old")), "stalwart runs with older files"),
        ((SIDECAR, STALWART, STALWART), "stalwart has 2 containers"),
        ((SIDECAR, STALWART, replace(SIDECAR, service="other", name="other")), "other is not part of it"),
        ((SIDECAR, replace(STALWART, network_mode="container:gone")), "stalwart is in a dead network namespace"),
        (
            (replace(SIDECAR, started_at=("2026-11-21T03:00:00", 0)), STALWART),
            "stalwart is in a dead network namespace",
        ),
        (
            (SIDECAR, replace(STALWART, variables=frozenset({"STALWART_RECOVERY_ADMIN"}))),
            "stalwart still has STALWART_RECOVERY_ADMIN set",
        ),
    ],
)
def test_each_deviation_is_a_reason(containers: tuple[Container, ...], reason: str) -> None:
    assert reason in drift(PROJECT, report(*containers))


def test_a_recovery_credential_may_be_there_right_after_the_first_up() -> None:
    first = report(SIDECAR, replace(STALWART, variables=frozenset({"STALWART_RECOVERY_ADMIN"})), recorded=False)
    assert drift(PROJECT, first, recorded=False) == []


def test_no_engine_is_a_reason_not_an_error() -> None:
    assert drift(PROJECT, HostReport()) == ["there is no container engine"]
    assert drift(PROJECT, HostReport(engine=Engine(present=True))) == ["the container engine does not answer"]


def test_containers_that_do_not_run_have_no_namespace_to_be_dead() -> None:
    stopped = replace(STALWART, state="exited", network_mode="container:gone")
    assert stale_namespaces(report(SIDECAR, stopped)) == []


def test_secrets_are_masked_longest_first_and_short_ones_left() -> None:
    assert PROJECT.masked("key tskey-client-abc abc") == "key ******** abc"
    assert "tskey" not in repr(PROJECT)


def test_a_project_needs_its_compose_file() -> None:
    with pytest.raises(ValueError, match=r"compose\.yaml"):
        replace(PROJECT, files=())
