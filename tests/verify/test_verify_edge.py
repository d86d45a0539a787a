"""Every edge host: the program that runs, its configuration, its sockets, what the tailnet lets it reach."""

from __future__ import annotations

from functools import cache

import pytest

from tailwart.checks.edge import EDGE, EdgeFacts, watch
from tailwart.checks.model import Check
from tailwart.checks.revision import here
from tailwart.environment import Edge, Environment
from tests.verify.conftest import connect, report
from tests.verify.holding import holds, named


@pytest.fixture(scope="module")
def facts_of(environment: Environment) -> object:
    """The facts of an edge, asked once."""

    @cache
    def ask(name: str) -> EdgeFacts:
        (edge,) = [each for each in environment.edges if each.name == name]
        found = report(connect(environment, edge.ssh), watch(environment, edge, deep=True))
        return EdgeFacts(environment, edge, *found, here(environment.domain))

    return ask


@pytest.mark.parametrize("check", EDGE.checks(), ids=named)
def test_an_edge(check: Check, edge: Edge, facts_of: object) -> None:
    assert callable(facts_of)
    holds(EDGE, check, facts_of(edge.name), edge.name)
