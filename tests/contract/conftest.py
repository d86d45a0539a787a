"""Stores that the contract is replayed on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contract import postgres
from tests.contract.installation import WITH_ADMIN, install
from tests.contract.namespace import namespace
from tests.contract.resolver import resolver
from tests.contract.server import Server
from tests.contract.versions import under_test

# Both stores with the newest version, the embedded one with the others.
_PAIRS = [("postgres", under_test()[0]), *(("embedded", version) for version in under_test())]


@pytest.fixture(scope="module", params=_PAIRS, ids="-".join)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has never been started, on an empty store of each kind."""
    with ExitStack() as stack:
        yield fresh(stack, tmp_path_factory.mktemp(request.param[0]), *request.param)


@pytest.fixture(params=under_test())
def each_version(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server of each version on an empty embedded store, for one test alone."""
    with ExitStack() as stack:
        yield fresh(stack, tmp_path, "embedded", request.param)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same with the embedded store alone, for what does not depend on the store."""
    with ExitStack() as stack:
        yield fresh(stack, tmp_path_factory.mktemp("embedded"), "embedded")


@pytest.fixture(scope="module")
def mail(embedded: Server) -> Iterator[Server]:
    """A server with the small installation, restarted once so that listeners and trust are in force."""
    with embedded.running(WITH_ADMIN):
        install(embedded)
    with embedded.running():
        yield embedded


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server on an empty embedded store for one test alone."""
    with ExitStack() as stack:
        yield fresh(stack, tmp_path, "embedded")


def fresh(stack: ExitStack, directory: Path, store: str, version: str | None = None) -> Server:
    space = stack.enter_context(namespace())
    stack.enter_context(resolver(space))
    if store == "embedded":
        return Server(space, directory, {"@type": "RocksDb", "path": str(directory / "data")}, version)
    stack.enter_context(postgres.postgres(space))
    return Server(space, directory, postgres.STORE, version)
