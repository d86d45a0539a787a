"""The policy's logic stands alone: no pyinfra, no SSH; and the examples in its docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

from tailwart import tailnet

MODULES = [f"tailwart.tailnet.{module.name}" for module in pkgutil.iter_modules(tailnet.__path__)]


def test_only_the_operation_imports_pyinfra_and_nothing_imports_ssh() -> None:
    pure = [name for name in MODULES if name != "tailwart.tailnet.operations"]
    assert len(pure) == len(MODULES) - 1
    code = f"import sys, {', '.join(pure)}; print(*sorted({{'pyinfra', 'paramiko', 'lab'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
