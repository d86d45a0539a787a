"""Which role is there, and how its hosts are reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tailwart.environment import Environment
from tailwart.environment.rules import contradictions
from tailwart.inventory import roles

MINIMAL: dict[str, Any] = {"domain": "example.org", "ts_tailnet": "tail1234.ts.net"}


def by_name(**settings: Any) -> dict[str, Any]:
    return {role.name: role for role in roles(Environment.model_validate({**MINIMAL, **settings}))}


def test_an_empty_installation_has_no_role_and_each_says_why() -> None:
    found = by_name()
    assert list(found) == ["tailnet", "backends", "mailbox", "edge", "dns"]
    assert not any(role.hosts for role in found.values())
    assert "EDGES" in found["edge"].absence
    assert "DNS_PROVIDER" in found["dns"].absence


def test_one_machine_may_be_two_roles_under_two_names() -> None:
    found = by_name(
        mailbox_ssh="root@192.0.2.10", edges=[{"name": "edge-1", "ssh": "root@192.0.2.10"}], ts_api_key="tskey-api-x"
    )
    assert [name for name, _ in found["mailbox"].hosts] == ["mailbox"]
    assert [name for name, _ in found["edge"].hosts] == ["edge-1"]
    assert [name for name, _ in found["tailnet"].hosts] == ["@plane/tailnet"]
    assert not found["mailbox"].absence


def test_named_known_hosts_are_binding(tmp_path: Path) -> None:
    _, data = by_name(mailbox_ssh="op@host.example.org:2222", ssh_known_hosts=str(tmp_path / "known"))["mailbox"].hosts[
        0
    ]
    assert (data["ssh_hostname"], data["ssh_port"], data["ssh_user"]) == ("host.example.org", 2222, "op")
    assert data["ssh_strict_host_key_checking"] == "yes"


@pytest.mark.parametrize("name", ["mailbox", "tailnet"])
def test_edges_cannot_take_the_name_of_a_role(name: str) -> None:
    env = Environment.model_validate({**MINIMAL, "edges": [{"name": name, "ssh": "root@192.0.2.1"}]})
    assert [problem.key for problem in contradictions(env)] == ["EDGES"]
