"""The live tailnet policy: the managed entries, its own tests, wide rules, keys; as in `tailwart tailnet test`."""

from __future__ import annotations

import pytest

from tailwart.checks.model import Check
from tailwart.checks.tailnet import TAILNET, PolicyFacts, gather
from tailwart.environment import Environment
from tests.verify.holding import holds, named


@pytest.fixture(scope="module")
def facts(environment: Environment) -> PolicyFacts:
    if not environment.ts_oauth_client_id and not environment.ts_api_key:
        pytest.skip("role tailnet is not configured: neither TS_OAUTH_CLIENT_ID nor TS_API_KEY is set")
    return gather(environment)


@pytest.mark.parametrize("check", TAILNET.checks(), ids=named)
def test_the_policy(check: Check, facts: PolicyFacts) -> None:
    holds(TAILNET, check, facts, "tailnet")
