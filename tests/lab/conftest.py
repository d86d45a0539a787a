"""The running lab and a healthy deploy on it, for tests that may come in any order."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from lab import dotenv, hosts
from lab.lifecycle import up
from lab.topology import Host
from tailwart.environment import Account, Environment
from tests.lab.deploying import environment_of
from tests.lab.mailbox import DIRECTORY, shell
from tests.lab.state import Installation, make_bare

# Any order is right. In this one, the first deploy of a new lab is that of the test which watches it, and hosts are
# replaced when nobody needs them any more.
_FIRST, _LAST = ("test_lab_deploy",), ("test_lab_edges", "test_lab_secrets", "test_lab_hosts")
_installation = Installation()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a good order; what destroys and restores hosts, moves stores or takes upgrades back only with LAB_LONG=1."""
    long = [item for item in items if item.get_closest_marker("long")]
    if long and os.environ.get("LAB_LONG") != "1":
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)

    def rank(item: pytest.Item) -> int:
        if item.path.stem in _FIRST:
            return -1
        return _LAST.index(item.path.stem) + 1 if item.path.stem in _LAST else 0

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        _installation.fail()
    return report


@pytest.fixture(scope="session")
def lab_environment() -> Path:
    """The `.env` of the lab, which is started when it does not run."""
    up()
    return dotenv.path()


@pytest.fixture(scope="session")
def installation() -> Installation:
    """What is known of the deployed installation."""
    return _installation


@pytest.fixture(autouse=True, scope="module")
def _checked(lab_environment: Path) -> Iterator[None]:
    """At the end of a module: its tests have left the installation as they said."""
    yield
    _installation.check(lab_environment)


@pytest.fixture(autouse=True)
def _noted(request: pytest.FixtureRequest, lab_environment: Path, _checked: None) -> Iterator[None]:
    """After a test and all that its fixtures undo: what is known of the installation now."""
    _installation.begin(lab_environment, request.node)
    yield
    _installation.note(request.node)


@pytest.fixture
def deployed(lab_environment: Path, request: pytest.FixtureRequest) -> Path:
    """The `.env` of a lab that is fully deployed, whatever the test before left behind."""
    _installation.ensure(lab_environment, request.node)
    return lab_environment


@pytest.fixture
def spare() -> Iterator[Host]:
    """One more bare host for a mailbox. What a test leaves on it goes, and a mailbox host that was left begins anew."""
    yield hosts.spare()
    hosts.remove_spare()
    if shell("mailbox", f"cat {DIRECTORY}/moved.json", check=False).startswith("{"):
        make_bare("mailbox")


@pytest.fixture
def environment(deployed: Path) -> Environment:
    """The typed settings of the deployed lab."""
    return environment_of(deployed)


@pytest.fixture
def account(environment: Environment) -> Account:
    """A mail account of the deployed lab."""
    return environment.accounts[0]
