"""One edge of a run gets the image built, the others get a copy of it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from pyinfra.api.host import Host

from tailwart.edge import stock
from tailwart.edge.stock import Stock
from tailwart.operations.one_host import one_host
from tailwart.runner import Completed, Runner
from tests.unit.connectors.sshd import sshd
from tests.unit.connectors.test_connectors_host import environment, target

REFERENCE = "tailwart-edge:0123456789abcdef"


@dataclass
class Edge:
    """A host with an engine; ``images`` are those that it has."""

    machine: str = "x86_64"
    images: set[str] = field(default_factory=set)
    built: int = 0

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        if script == "uname -m":
            return Completed(True, f"{self.machine}\n", "")
        return Completed(REFERENCE in self.images, "", "")

    def build(self, run: Runner) -> None:
        assert run is self
        self.built += 1
        self.images.add(REFERENCE)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What becomes of each copy, in order."""
    outcomes: list[bool] = []

    def copy(source: Host, target: Host, reference: str) -> bool:
        worked = outcomes.pop(0)
        if worked:
            cast("Edge", target).images.update(cast("Edge", source).images)
        return worked

    monkeypatch.setattr(stock, "copy", copy)
    return outcomes


def provide(*edges: Edge) -> None:
    shared = Stock()
    for edge in edges:
        shared.provide(cast("Host", edge), edge, REFERENCE, edge.build)
        assert REFERENCE in edge.images


def test_the_first_builds_and_the_others_get_copies(copies: list[bool]) -> None:
    copies += [True, True]
    edges = [Edge(), Edge(), Edge()]
    provide(*edges)
    assert [edge.built for edge in edges] == [1, 0, 0]


def test_an_edge_that_has_the_image_builds_nothing_and_gives_it_away(copies: list[bool]) -> None:
    copies += [True]
    edges = [Edge(images={REFERENCE}), Edge()]
    provide(*edges)
    assert [edge.built for edge in edges] == [0, 0]


def test_another_machine_type_builds_its_own(copies: list[bool]) -> None:
    edges = [Edge(), Edge("aarch64")]
    provide(*edges)
    assert [edge.built for edge in edges] == [1, 1]


def test_where_the_copy_fails_the_image_is_built(copies: list[bool]) -> None:
    copies += [False]
    edges = [Edge(), Edge()]
    provide(*edges)
    assert [edge.built for edge in edges] == [1, 1]


def test_an_image_travels_over_ssh_byte_for_byte(tmp_path: Path) -> None:
    image = os.urandom(3_000_000)
    (tmp_path / "image").write_bytes(image)
    program = f"#!/bin/sh\ncase $1 in save) [ $2 = {REFERENCE} ] && cat image;; load) cat >got;; esac\n"
    program = program.replace("image;;", f"{tmp_path}/image;;").replace(">got", f">{tmp_path}/got")
    (tmp_path / "docker").write_text(program)
    (tmp_path / "docker").chmod(0o755)
    with ExitStack() as stack:
        hosts: list[Host] = []
        for name in ("edge-1", "edge-2"):
            (tmp_path / name).mkdir()
            server = stack.enter_context(sshd(tmp_path / name, f"{tmp_path}:/usr/bin:/bin"))
            server.introduce()
            hosts.append(stack.enter_context(one_host(environment(server), name, target(server))).host)
        assert stock.copy(hosts[0], hosts[1], REFERENCE)
        assert (tmp_path / "got").read_bytes() == image
