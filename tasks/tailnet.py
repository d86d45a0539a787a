"""The tailnet's policy: who may reach the mailbox, and whom it may reach.

Runs first: without its grants the mailbox cannot reach its store (lesson 1) nor the smarthost (lesson 11), and the edge
cannot pass on mail or :443 (lesson 5).
"""

from __future__ import annotations

from pyinfra import host

from tailwart.environment import Environment
from tailwart.tailnet import operations


def deploy() -> None:
    """Merge the tag owners, grants and tests of the mail system into the live policy, validated by the server first."""
    environment: Environment = host.data.environment

    operations.expect(host, environment)

    operations.policy(
        name="Tailnet: tag owners, grants and tests in the policy",
        environment=environment,
    )
