"""For every layer of tests: what CI may not skip, and where the time goes."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A loaded machine makes single examples slow; that says nothing about the code.
settings.register_profile("loaded", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded")

# Layers whose needs the Makefile installs or builds. The verification of an installation skips the roles it lacks.
NOTHING_SKIPPED = ("unit", "contract", "templates", "plans", "lab")
# What a test says that reads material of others, which no target of the Makefile can bring.
_ELSEWHERE = "not part of this repository"
_seconds: dict[str, float] = defaultdict(float)


def layer(nodeid: str) -> str:
    """The directory below `tests` that a test lies in."""
    parts = nodeid.split("::", 1)[0].split("/")
    return parts[1] if len(parts) > 2 else "other"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What only a real Stalwart can show is not collected for the stand-in."""
    if os.environ.get("STALWART_BINARY"):
        return
    left_out = [item for item in items if item.get_closest_marker("real_server")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a test that nobody runs: a failure with the reason of the skip."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and layer(item.nodeid) in NOTHING_SKIPPED:
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if _ELSEWHERE not in reason:
            report.outcome = "failed"
            report.longrepr = f"nothing may be skipped in CI: {reason}"
    return report


@pytest.fixture(autouse=True)
def own_state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What runs remember stays out of the home directory, but for the tests of the lab, whose state lies there."""
    if layer(request.node.nodeid) not in NOTHING_SKIPPED[:-1]:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
        yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[layer(report.nodeid)] += report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line for people; LAYER_TIMES names a file that takes the same as `layer seconds` lines."""
    if not _seconds or hasattr(config, "workerinput"):
        return  # a worker of xdist: its reports are the main process's too
    listed = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in sorted(_seconds.items()))
    terminalreporter.write_line(f"time in the tests of each layer, added up over all workers: {listed}")
    if path := os.environ.get("LAYER_TIMES"):
        with Path(path).open("a") as file:
            # Not those of a verification that a test runs: they are part of its own time.
            file.writelines(f"{name} {_seconds[name]:.0f}\n" for name in NOTHING_SKIPPED if name in _seconds)
