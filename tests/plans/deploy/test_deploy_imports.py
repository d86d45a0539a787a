"""What a run loads: its own roles, and nothing that only a change, another provider or a test needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.plans.deploy.test_deploy_stages import INVENTORY, ROOT

# Only to write to an empty store, to judge a new password, to look names up, for other DNS providers; and tests' own.
HEAVY = {"pg8000", "zxcvbn", "octodns", "botocore", "dns.resolver", "hypothesis", "pytest", "lab"}
PLANES = """
dns = [("@plane/dns", {"environment": _environment})]
"""
_PYINFRA = """
import atexit, json, sys
from pathlib import Path

atexit.register(lambda: Path("loaded").write_text(json.dumps(sorted(sys.modules))))
from pyinfra_cli.main import main

sys.argv = ["pyinfra", "inventory.py", sys.argv[1], "--dry", *sys.argv[2:]]
main()
"""


def loaded(directory: Path, *options: str) -> set[str]:
    """The modules in memory at the end of a plan for bare hosts of all roles but the tailnet's."""
    inventory = INVENTORY.replace(
        '"domain"',
        '"dns_provider": "spaceship", "provider_keys": {"spaceship_api_url": "http://127.0.0.1:9/api", '
        '"spaceship_api_key": "a", "spaceship_api_secret": "b"}, "domain"',
    )
    (directory / "inventory.py").write_text(inventory + PLANES)
    result = subprocess.run(
        [sys.executable, "-c", _PYINFRA, ROOT / "deploy.py", *options],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT), "PYINFRA_PROGRESS": "off"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in result.stderr, result.stderr
    found = json.loads((directory / "loaded").read_text())
    return set(found)


def test_a_plan_of_all_roles_loads_nothing_that_only_a_change_or_another_provider_needs(tmp_path: Path) -> None:
    modules = loaded(tmp_path)
    assert {"tasks.backends", "tasks.mailbox", "tasks.edge", "tasks.dns", "tailwart.providers._spaceship"} <= modules
    assert not HEAVY & modules
    assert not {"tailwart.providers._rfc2136", "tailwart.providers._octodns"} & modules


def test_a_limited_run_loads_the_runbooks_of_its_roles_alone(tmp_path: Path) -> None:
    modules = loaded(tmp_path, "--limit", "edge")
    assert {name for name in modules if name.startswith("tasks.")} == {"tasks.edge"}
    assert not {"requests", "tailwart.stalwart", "tailwart.tailnet", "tailwart.dns"} & modules
