"""The order of steps on a host: what serves is touched only after the new binary has accepted the new configuration."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from tailwart.edge.serve import activate
from tailwart.environment.lock import Binary
from tailwart.errors import TailwartError
from tailwart.runner import Completed
from tests.unit.edge.host_report import PLAN, EdgeHost, listening, up_to_date

SWAP = "mv -fT -- /opt/tailwart/edge/next"


@dataclass
class Host:
    """A scripted host: fails where a script holds one of ``broken``; ``state`` before the swap, ``after`` behind it."""

    state: EdgeHost
    after: EdgeHost = field(default_factory=up_to_date)
    broken: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    """What scripts print that hold these words."""
    slow: int = 0
    """So many seconds pass before the new edge listens."""
    scripts: list[str] = field(default_factory=list)

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.scripts.append(script)
        if "tailwart-host-report" in script:
            swapped = any(SWAP in item for item in self.scripts)
            state = self.after if swapped else self.state
            if swapped and self.scripts.count("sleep 1") < self.slow:
                state = replace(state, listeners=listening(25))
            return Completed(True, "\n".join(state.lines()), "")
        for part, words in self.broken.items():
            if part in script:
                return Completed(False, words, words)
        said = next((words for part, words in self.answers.items() if part in script), "written\n")
        return Completed(True, said, "")

    def ran(self, part: str) -> bool:
        return any(part in script for script in self.scripts)


def trusting(kind: str, binary: Binary) -> None:
    """Whatever Caddy it is."""


NO_IMAGE = {"docker image inspect tailwart-edge:": "no such image"}


def test_a_failed_build_touches_nothing_that_serves() -> None:
    host = Host(up_to_date(), broken={**NO_IMAGE, "docker build": "fetch-caddy: refused the build: no such module"})
    with pytest.raises(TailwartError, match="refused the build: no such module"):
        activate(host, PLAN, trusting)
    assert not host.ran(SWAP)
    assert not host.ran("compose --project-name tailwart-edge --file compose.yaml up")


def test_a_configuration_that_the_new_binary_refuses_touches_nothing_that_serves() -> None:
    host = Host(up_to_date(), broken={"validate --config": "Error: unknown module: layer4"})
    with pytest.raises(TailwartError, match="unknown module: layer4"):
        activate(host, PLAN, trusting)
    assert host.ran("--entrypoint /usr/bin/caddy")
    assert not host.ran(SWAP)


def test_a_caddy_that_is_not_trusted_touches_nothing_that_serves_and_is_fetched_again_next_time() -> None:
    def distrusting(kind: str, binary: Binary) -> None:
        assert "github.com/mholt/caddy-l4@v" in kind, "a version of caddy-l4 is asked for"
        raise TailwartError("the downloaded Caddy is not the one that this installation trusts")

    host = Host(up_to_date())
    with pytest.raises(TailwartError, match="trusts"):
        activate(host, PLAN, distrusting)
    assert not host.ran(SWAP)
    assert host.ran(f"docker image rm {PLAN.reference}")


def test_a_caddy_that_cannot_be_looked_at_is_neither_trusted_nor_served() -> None:
    trusted: list[str] = []
    host = Host(up_to_date(), broken={"cat /usr/bin/caddy.sha256": ""})
    with pytest.raises(TailwartError, match="cannot be trusted"):
        activate(host, PLAN, lambda kind, binary: trusted.append(kind))
    assert trusted == []
    assert not host.ran(SWAP)


def test_a_port_that_is_taken_is_refused_before_anything_is_written() -> None:
    host = Host(replace(up_to_date(), listeners=listening(25, pid=9, name="exim4")))
    with pytest.raises(TailwartError, match="exim4"):
        activate(host, PLAN, trusting)
    assert len(host.scripts) == 1, "the facts, and nothing else"


def test_an_image_that_is_there_is_not_built_again() -> None:
    host = Host(up_to_date())
    activate(host, PLAN, trusting)
    assert not host.ran("docker build")


def test_a_change_of_routes_reloads_and_brings_nothing_up() -> None:
    host = Host(up_to_date(), after=replace(up_to_date(), running="{}"), broken={"caddy reload": "refused"})
    with pytest.raises(TailwartError, match="did not load the new configuration"):
        activate(host, PLAN, trusting)
    assert host.ran(f"docker exec {PLAN.project.name} caddy reload")
    assert not host.ran("--remove-orphans"), "no container was recreated to load it"


def test_mail_that_is_under_way_ends_before_the_process_is_replaced() -> None:
    host = Host(up_to_date(), after=replace(up_to_date(), health="unhealthy"))
    with pytest.raises(TailwartError):
        activate(host, PLAN, trusting)
    steps = [script for script in host.scripts if "http://edge/load" in script or "--remove-orphans" in script]
    assert "http://edge/load" in steps[0]
    assert "caddy reload --config" in steps[0], "a run that dies now leaves a host that opens the edge again"
    assert "--remove-orphans" in steps[1]


def test_an_edge_that_serves_nobody_yet_has_nothing_to_wait_for() -> None:
    host = Host(EdgeHost(), after=replace(up_to_date(), health="unhealthy"), broken={"{{.State.Running}}": ""})
    with pytest.raises(TailwartError):
        activate(host, PLAN, trusting)
    assert not host.ran("http://edge/load")


def test_an_edge_that_does_not_come_up_is_replaced_by_the_one_before() -> None:
    host = Host(up_to_date(), after=replace(up_to_date(), running="{}"), broken={"caddy reload": "refused"})
    with pytest.raises(TailwartError, match="previous edge was put back"):
        activate(host, PLAN, trusting)
    assert any("cp -p /opt/tailwart/edge/previous/*" in script and "up -d --wait" in script for script in host.scripts)


def test_ports_that_open_late_are_waited_for() -> None:
    host = Host(up_to_date(), slow=3)
    activate(host, PLAN, trusting)
    assert host.scripts.count("sleep 1") == 3


def test_ports_that_never_open_are_named_and_the_edge_before_comes_back() -> None:
    host = Host(up_to_date(), slow=1000)
    with pytest.raises(TailwartError, match="465/IPv4") as caught:
        activate(host, PLAN, trusting)
    assert "25/IPv4" not in caught.value.seen
    assert "put back" in str(caught.value)


def test_without_an_edge_before_there_is_nothing_to_fall_back_to() -> None:
    broken = {"{{.State.Running}}": "", "caddy reload": "refused"}
    host = Host(EdgeHost(), after=replace(up_to_date(), running="{}"), broken=broken)
    with pytest.raises(TailwartError) as caught:
        activate(host, PLAN, trusting)
    assert "put back" not in str(caught.value)
    assert not host.ran("edge/previous/*")


def test_the_copy_of_what_serves_has_a_name_of_its_own() -> None:
    """Two runs on one host, or one that died, share no temporary name."""
    host = Host(up_to_date())
    activate(host, PLAN, trusting)
    swap = next(script for script in host.scripts if SWAP in script)
    assert "mktemp -d /opt/tailwart/edge/previous.part-XXXXXX" in swap
