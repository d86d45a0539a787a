"""The running lab and a healthy deploy on it, for tests that may come in any order."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import dotenv
from lab.lifecycle import up
from tailwart.environment import Account, Environment
from tests.lab.deploying import deploy, environment_of


@pytest.fixture(scope="session")
def lab_environment() -> Path:
    """The `.env` of the lab, which is started when it does not run."""
    up()
    return dotenv.path()


@pytest.fixture
def deployed(lab_environment: Path) -> Path:
    """The `.env` of a lab that is fully deployed, whatever the test before left behind."""
    deploy(lab_environment)
    return lab_environment


@pytest.fixture
def environment(deployed: Path) -> Environment:
    """The typed settings of the deployed lab."""
    return environment_of(deployed)


@pytest.fixture
def account(environment: Environment) -> Account:
    """A mail account of the deployed lab."""
    return environment.accounts[0]
