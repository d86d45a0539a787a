"""The live tailnet policy: the managed entries, its own tests, wide rules, keys; as in `tailwart tailnet test`."""

from __future__ import annotations

import pytest

from tailwart.environment import Environment
from tailwart.tailnet import credentials
from tailwart.tailnet.policy import Policy
from tailwart.tailnet.push import Push
from tailwart.tailnet.session import push


@pytest.fixture(scope="module")
def policy(environment: Environment) -> Push:
    if not environment.ts_oauth_client_id and not environment.ts_api_key:
        pytest.skip("role tailnet is not configured: neither TS_OAUTH_CLIENT_ID nor TS_API_KEY is set")
    return push(environment)


def test_the_managed_grants_owners_and_tests_are_in_the_live_policy(policy: Push) -> None:
    missing = [f"{change.kind} {change.name} ({change.why})" for change in policy.prepare().plan.changes]
    assert not missing, f"run `pyinfra inventory.py deploy.py --limit tailnet`: {'; '.join(missing)}"


def test_the_live_policy_passes_its_own_tests(policy: Push) -> None:
    verdict = policy.client.validate(policy.client.read().text)
    assert verdict, f"{verdict.message}: {verdict.problems}"


def test_every_wide_rule_is_acknowledged(policy: Push) -> None:
    wide = [str(rule) for rule in policy.prepare().unacknowledged]
    assert not wide, "\n".join(wide)


def test_the_keys_are_valid_and_hand_out_their_tags(policy: Push, environment: Environment) -> None:
    owners = {entry.key: entry.value for entry in Policy(policy.client.read().text).tag_owners.entries}
    assert not credentials.check(policy.client, environment, owners)
