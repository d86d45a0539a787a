"""The schema of a running server: read when something is written, kept by its digest, and obeyed before the write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher, Type

from tailwart.errors import TailwartError
from tailwart.runner import Completed
from tailwart.stalwart.accounts import passwords
from tailwart.stalwart.lifecycle import server_schema
from tailwart.stalwart.protocol.container import Login, login
from tailwart.stalwart.protocol.failures import LoginRefused, NotReachable, SettingsError
from tailwart.stalwart.settings.desired import desired
from tailwart.stalwart.settings.inputs import S3Store
from tests.unit.stalwart import schemas
from tests.unit.stalwart.sample import settings
from tests.unit.stalwart.simulated_host import SimulatedHost

S3 = S3Store("http://garage.tail1234.ts.net:3900", "garage", "stalwart-mail", "GKkey")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedHost]:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(1, 8, 1, type=Type.ID))
    made = SimulatedHost(tmp_path, schema=schemas.of(desired(settings())))
    yield made
    made.close()


def texts_only(document: dict[str, Any], kind: str, field: str) -> None:
    """Another release: this field takes a text from now on."""
    kept = document["fields"][f"x:{kind}"]["properties"][field]
    kept["type"] = {"type": "string", "format": "string"}


def test_a_release_that_takes_something_else_is_refused_before_the_first_write(host: SimulatedHost) -> None:
    assert host.schema is not None
    texts_only(host.schema, "SpamPyzor", "enable")
    with pytest.raises(
        TailwartError, match=r"SpamPyzor singleton, field enable: wrong type: .*; expected a text"
    ) as it:
        host.deploy(settings())
    assert "nothing was written" in (it.value.expected or "")
    assert host.server.writes == []
    assert not (host.home / "restart-required").exists(), "no post-apply action is due either"
    host.schema = schemas.of(desired(settings()))
    host.deploy(settings())
    assert host.plane(settings()).observe().up_to_date


def test_late_changes_are_checked_before_the_early_ones_are_written(host: SimulatedHost) -> None:
    assert host.schema is not None
    (host.home / "bootstrap.env").write_text("STALWART_RECOVERY_ADMIN=admin:first\n")
    host.up()
    observed = host.plane(settings()).observe()
    changes = tuple(
        replace(change, late=True, values={**change.values, "colour": "red"})
        if change.ref.kind == "SystemSettings"
        else change
        for change in observed.planned.changes
    )
    planned = replace(observed, planned=replace(observed.planned, changes=changes))
    with pytest.raises(TailwartError, match="unknown field"):
        host.plane(settings()).apply(planned)
    assert host.server.writes == []


def test_the_schema_is_sent_once_and_not_at_all_for_a_run_without_changes(host: SimulatedHost) -> None:
    host.deploy(settings())
    assert host.schemas_sent == 1
    asked = [script for script in host.scripts if "/api/schema" in script]
    host.deploy(settings())
    assert [script for script in host.scripts if "/api/schema" in script] == asked, "a no-op asks nothing more"
    for item in host.server.objects["NetworkListener"].values():
        item["overrideProxyTrustedNetworks"] = {}
    host.deploy(settings())
    assert len([script for script in host.scripts if "/api/schema" in script]) == len(asked) + 1
    assert host.schemas_sent == 1, "it is known by its digest"


def test_the_schema_seen_last_is_there_without_a_server(host: SimulatedHost) -> None:
    assert server_schema.last_seen() is None
    host.deploy(settings())
    found = server_schema.last_seen()
    assert found is not None
    assert found.digest == host.digest
    assert "NetworkListener" in found.kinds


def test_a_server_without_a_schema_is_written_to_as_its_version_says(tmp_path: Path) -> None:
    host = SimulatedHost(tmp_path)
    said: list[str] = []
    try:
        (host.home / "bootstrap.env").write_text("STALWART_RECOVERY_ADMIN=admin:first\n")
        host.up()
        plane = host.plane(settings())
        plane._log = said.append
        plane.apply()
    finally:
        host.close()
    assert any("publishes no schema" in line for line in said)


def answering(stdout: str, stderr: str = "") -> Any:
    def run(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        return Completed(True, stdout, stderr)

    return run


@pytest.mark.parametrize(
    ("stdout", "error"),
    [
        ("NDAxIAo=", LoginRefused),  # 401
        ("", NotReachable),
        ("not base64 at all!", NotReachable),
        ("MzAyIGh0dHA6Ly94L2FwaS9zY2hlbWEvLi4vLi4vZXZpbAo=", NotReachable),  # a digest that is a path
        ("MzAyIGh0dHA6Ly94L2FwaS9zY2hlbWEvMDEyMzQ1Njc4OQofiwAAAA==", SettingsError),  # cut off
    ],
)
def test_an_answer_that_is_no_schema_is_named(stdout: str, error: type[TailwartError], tmp_path: Path) -> None:
    with pytest.raises(error):
        server_schema.read(answering(stdout), login("admin", "secret"), cache=tmp_path / "none")
    assert not list(tmp_path.rglob("*.json.gz"))


def test_a_directory_that_cannot_be_written_costs_only_the_copy(host: SimulatedHost, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    host.deploy(settings())
    found = server_schema.read(
        host, Login(text="admin@example.org:admin-password-1"), host.base, cache=blocked / "below"
    )
    assert found is not None
