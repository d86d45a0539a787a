"""What an installation is: a checkout. The build refuses any wheel but the editable one."""

from __future__ import annotations

import runpy
import sys
from types import ModuleType

import pytest

from tests.documentation import ROOT


@pytest.fixture
def initialize(monkeypatch: pytest.MonkeyPatch) -> object:
    """The build hook, without a build backend around it."""
    interface = ModuleType("hatchling.builders.hooks.plugin.interface")
    interface.BuildHookInterface = object  # type: ignore[attr-defined]  # stands for the backend's own class
    for name in ("hatchling", "hatchling.builders", "hatchling.builders.hooks", "hatchling.builders.hooks.plugin"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    return runpy.run_path(str(ROOT / "hatch_build.py"))["CheckoutOnly"]().initialize


def test_a_wheel_to_carry_away_is_refused_with_the_remedy(initialize: object) -> None:
    assert callable(initialize)
    initialize("editable", {})
    with pytest.raises(SystemExit, match="make setup"):
        initialize("standard", {})
