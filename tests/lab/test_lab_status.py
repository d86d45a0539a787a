"""The status page that the mailbox serves: to its readers on the tailnet alone, refreshed, mailed, and gone again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwart.environment import Environment
from tailwart.mailbox import status
from tailwart.network import STATUS_PORT
from tailwart.stalwart.settings.declaration import administrator_address
from tests.lab.deploying import deploy, secret_values, tailwart, variant
from tests.lab.mailbox import shell
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.leaves_deployed]

ROLES = ("--limit", "mailbox", "--limit", "tailnet")
REFRESH = f"systemctl start {status.REFRESH}.service"


@pytest.fixture
def served(deployed: Path, tmp_path: Path) -> Iterator[Path]:
    """The installation with a page that the smarthost's node may read."""
    path = variant(deployed, tmp_path / "env", STATUS_PAGE="on", TS_ADMIN_SRC="tag:mail")
    try:
        deploy(path, *ROLES)
        yield path
    finally:
        shell("mailbox", "rm -f /run/reboot-required")
        deploy(deployed, *ROLES)


def page(environment: Environment, host: str = "relay") -> str:
    url = f"http://{environment.magic_host}:{STATUS_PORT}/"
    return shell(host, f"curl -fsS -m 5 {url}", check=False)


def test_it_is_served_to_its_readers_refreshed_mailed_and_removed(
    served: Path, deployed: Path, environment: Environment
) -> None:
    assert deploy(served, *ROLES).changes == {}, "a second run changes nothing"
    waiting = until(lambda: found if "refreshed at" in (found := page(environment)) else "", "the page", 120)
    assert "no whole run yet" in waiting and "The mailbox host, now" in waiting
    assert "badge failed" not in waiting.partition("<main>")[2].partition("</ul>")[0]

    assert "curl: " in page(environment, "edge-1"), "an edge must not read it"
    address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    bridge = shell("mailbox", f"docker inspect -f '{address}' ts-stalwart").strip()
    assert "curl: (7)" in shell("mailbox", f"curl -sS -m 5 http://{bridge}:{STATUS_PORT}/", check=False)

    published = tailwart(served, "doctor", "--publish", "--json")
    assert json.loads(published.stdout)["results"], published.stderr
    whole = page(environment)
    assert "edges, tailnet and zone as tailwart doctor saw them" in whole and "The way of the mail" in whole
    assert not [secret for secret in secret_values(environment) if secret in whole]

    shell("mailbox", f"echo linux-image >/run/reboot-required && {REFRESH} && {REFRESH} && {REFRESH}")
    assert "1 of" in page(environment) and "No reboot is due" in page(environment)
    # Noted as told only when the server has taken the message; an administrator's mailbox is not read from outside.
    assert "mailbox.no-reboot-due\tfailed" in shell("mailbox", f"cat {status.DIRECTORY}/told")
    address = administrator_address(environment)
    until(lambda: tailwart(served, "trace", address, "--since", "10m").returncode == 0, "the mail in the log", 60, 2)

    before = since()
    shell("mailbox", "docker restart -t 1 ts-stalwart", timeout=180)
    until(lambda: since() not in ("", before) and "refreshed at" in page(environment), "the page to be back", 180)

    deploy(deployed, *ROLES)
    left = (
        "ls -d /opt/tailwart/status /etc/systemd/system/tailwart-status*; docker ps -aq --filter name=tailwart-status"
    )
    assert shell("mailbox", f"{{ {left}; }} 2>/dev/null", check=False) == ""
    assert "curl: " in page(environment)


def since() -> str:
    """When the program that serves the page was started; empty without one."""
    return shell("mailbox", "docker inspect -f '{{.State.StartedAt}}' tailwart-status 2>/dev/null", check=False).strip()
