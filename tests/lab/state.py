"""What is known of the installation between two tests, so that no test deploys again what the one before has proven."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import hosts
from tests.lab.deploying import deploy
from tests.lab.mailbox import shell

# No engine, nothing deployed, not logged in to the tailnet: prints what contradicts it.
_TRACES = """
command -v docker; ls -A /opt /var/lib/docker | grep -v -e '^$' -e ':$'
! command -v tailscale >/dev/null || tailscale status --json --peers=false | grep -o '"BackendState": "Running"'
"""


class Installation:
    """The deployed installation. A test with the mark `leaves_deployed` says that a deploy after it changes nothing;
    the next test then begins without one, and the end of its module checks what was said.
    """

    def __init__(self) -> None:
        self._deployed = False
        self._said: list[str] = []
        self._previous = ""
        self._failed = False
        # Set while the mailbox holds another store than the lab's `.env` names: no deploy can change that.
        self.other_store = False

    def ensure(self, environment_path: Path, test: pytest.Item) -> None:
        """Deploy, unless it is known that this would change nothing or the test goes on where its last case ended."""
        if self.other_store:
            make_bare("mailbox")
            self.other_store = False
        goes_on = test.get_closest_marker("cases_follow") and self._previous == _function(test)
        if not self._deployed and not goes_on:
            deploy(environment_path)
            self._deployed = True

    def begin(self, environment_path: Path, test: pytest.Item) -> None:
        """Before a test: one that leaves anything behind must not hide what those before it did."""
        self._failed = False
        if not _leaves_deployed(test):
            self.check(environment_path)

    def note(self, test: pytest.Item) -> None:
        """After a test: what it says about the installation that it leaves."""
        self._previous = "" if self._failed else _function(test)
        if self._failed or not _leaves_deployed(test):
            self.forget()
        elif self._deployed:
            self._said.append(test.name)

    def fail(self) -> None:
        """The running test has failed: nothing that it says holds."""
        self._failed = True

    def proven(self) -> None:
        """A full deploy has just changed nothing."""
        self._deployed = True
        self._said = []

    def forget(self) -> None:
        """Something may have been changed: the next test that needs the installation deploys."""
        self._deployed = False
        self._said = []

    def check(self, environment_path: Path) -> None:
        """Whether the tests since the last deploy have left the installation as they said."""
        said, self._said = self._said, []
        if said and self._deployed:
            changes = deploy(environment_path).changes
            assert changes == {}, f"one of these tests has left something behind: {', '.join(said)}"


def _leaves_deployed(test: pytest.Item) -> bool:
    return test.get_closest_marker("leaves_deployed") is not None


def _function(test: pytest.Item) -> str:
    return test.nodeid.partition("[")[0]


def is_bare(host: str) -> bool:
    """Whether a host is as its image made it, as far as a deploy is concerned."""
    return not shell(host, _TRACES, check=False).strip()


def make_bare(*names: str) -> None:
    """Replace those hosts that are not bare by new ones."""
    if used := [name for name in names if not is_bare(name)]:
        hosts.recreate(*used)
