"""The sidecar of a restored mailbox: it gets time, and a key where the tailnet has forgotten it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tailwart.backup import restore
from tailwart.errors import TailwartError
from tailwart.mailbox.login import SIDECAR_KEY
from tailwart.mailbox.project import compose_project
from tailwart.runner import Completed
from tests.unit.mailbox.test_mailbox_render import environment


class Host:
    """A bare host with the state of a set; ``rounds`` are the ends of each wait for the sidecar."""

    def __init__(self, rounds: list[bool], logins: list[str]) -> None:
        self.rounds, self.logins = rounds, logins
        self.keys = 0
        self.last = ""

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.last = script
        if script == SIDECAR_KEY.login:
            return Completed(True, self.logins.pop(0), "")
        if " up -d " in script:
            return Completed(self.rounds.pop(0), "ts-stalwart is unhealthy after 45 s\n", "")
        self.keys += bool(stdin)
        return Completed(True, "no route" if "docker logs" in script else "written\n", "")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "sidecar_key", lambda _: SecretStr("a-key"))


def bring_up(host: Host) -> None:
    restore.bring_sidecar_up(host, environment(), compose_project(environment()), lambda _: None)


def test_a_node_that_the_tailnet_has_forgotten_gets_a_key_and_time() -> None:
    host = Host([False, False, True], ["joined", "logged-out", "joined"])
    bring_up(host)
    assert host.keys == 1
    assert host.rounds == []
    assert host.last == f"rm -f {SIDECAR_KEY.path}", "no key is left"


def test_one_that_never_comes_up_says_why() -> None:
    host = Host([False] * 5, ["joined"] * 5)
    with pytest.raises(TailwartError, match="left as they are") as caught:
        bring_up(host)
    assert "unhealthy after 45 s" in caught.value.seen and "no route" in caught.value.seen
