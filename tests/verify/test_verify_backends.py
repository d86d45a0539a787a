"""The stores' host: what the deploy installed there, role, database and bucket, and from where the stores answer."""

from __future__ import annotations

import pytest

from tailwart.checks.backends import BACKENDS, BackendsFacts, gather
from tailwart.checks.model import Check
from tailwart.checks.revision import here
from tailwart.connectors.shell import SshRunner
from tailwart.environment import Environment
from tests.verify.holding import holds, named


@pytest.fixture(scope="module")
def facts(environment: Environment) -> BackendsFacts:
    if environment.backends_ssh is None:
        pytest.skip("role backends is not configured: BACKENDS_SSH is not set")
    with SshRunner(environment, environment.backends_ssh) as run:
        return gather(run, environment, here(environment.domain))


@pytest.mark.parametrize("check", BACKENDS.checks(), ids=named)
def test_the_stores_host(check: Check, facts: BackendsFacts) -> None:
    holds(BACKENDS, check, facts, "backends")
