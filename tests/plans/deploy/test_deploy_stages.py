"""deploy.py itself through pyinfra, planned for bare hosts: every role in its stage, with a barrier after each."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from tailwart.hosts.report import HEADER, TRAILER
from tests.plans.through_pyinfra import ROOT, pyinfra

INVENTORY = f"""
from tailwart.environment import Edge, Environment
_edge = Edge.model_validate({{"name": "edge-1", "ssh": "root@192.0.2.7"}})
_environment = Environment.model_validate({{
    "domain": "example.org", "ts_tailnet": "tail1234.ts.net", "ts_authkey": "tskey-auth-x", "smarthost_address": None,
    "mailbox_ssh": "root@192.0.2.10",
    "stalwart_store": "postgres", "stalwart_db_host": "postgres.tail1234.ts.net", "stalwart_db_password": "secret-1",
}})
_fake = {{"fake_delay": 0, "fake_delay_jitter": 0, "environment": _environment,
    "fake_responses": {{"tailwart-host-report": {[HEADER, TRAILER]!r}, "tailscale status": "{{}}"}}}}
edge = [("@fake/edge-1", {{**_fake, "edge": _edge}}), ("@fake/edge-2", {{**_fake, "edge": _edge}})]
mailbox = [("@fake/mailbox", _fake)]
backends = [("@fake/backends", _fake)]
"""


def planned(directory: Path) -> list[str]:
    """The operations in the order in which pyinfra would execute them."""
    (directory / "inventory.py").write_text(INVENTORY)
    result = pyinfra(directory, ROOT / "deploy.py", "--dry")
    assert result.returncode == 0, result.stderr
    lines = (result.stdout + result.stderr).splitlines()
    table = [line.strip() for line in lines if line.strip().startswith(("Stage ", "Backends: ", "Mailbox: ", "Edge: "))]
    return [line.split("  ")[0] for line in table]


def test_every_role_is_planned_within_its_stage(tmp_path: Path) -> None:
    operations = planned(tmp_path)
    stages = [name for name in operations if name.startswith("Stage ")]
    assert stages == [
        f"Stage {number} of 5: {role} finished"
        for number, role in enumerate(("tailnet", "backends", "mailbox", "edge", "dns"), start=1)
    ]
    for (before, after), role in zip(pairwise(stages), ("Backends", "Mailbox", "Edge", "DNS"), strict=True):
        between = operations[operations.index(before) + 1 : operations.index(after)]
        assert {name.partition(":")[0] for name in between} <= {role}
        assert bool(between) is (role != "DNS")
