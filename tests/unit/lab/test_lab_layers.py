"""What CI does with a skipped test, and the time of each layer that a run ends with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SKIPPED = "import pytest\n\n@pytest.mark.skipif(True, reason='no compiler here')\ndef test_one(): pass\n"


def run(directory: Path, layer: str, text: str, workers: str = "0", **variables: str) -> tuple[int, str]:
    """pytest on one test file of a layer, under this project's conftest: exit code and output."""
    target = directory / "tests" / layer
    target.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "conftest.py", directory / "tests")
    (target / "test_example.py").write_text(text)
    environment = {key: value for key, value in os.environ.items() if key not in {"CI", "LAYER_TIMES"}}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", workers, f"--rootdir={directory}", "tests"],
        cwd=directory, env={**environment, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return result.returncode, result.stdout


@pytest.mark.parametrize("text", [SKIPPED, "import pytest\n\ndef test_one(): pytest.skip('no compiler here')\n"])
def test_a_skipped_test_fails_in_ci_with_its_reason(tmp_path: Path, text: str) -> None:
    code, output = run(tmp_path / "ci", "unit", text, CI="true")
    assert code == 1
    assert "nothing may be skipped in CI: " in output
    assert "no compiler here" in output
    assert run(tmp_path / "laptop", "unit", text)[0] == 0


def test_material_of_others_may_be_missing_in_ci(tmp_path: Path) -> None:
    text = "import pytest\n\ndef test_one(): pytest.skip('the schemas are not part of this repository')\n"
    assert run(tmp_path, "unit", text, CI="true")[0] == 0


def test_a_verification_may_skip_what_an_installation_lacks(tmp_path: Path) -> None:
    assert run(tmp_path, "verify", SKIPPED, CI="true")[0] == 0


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_time_of_each_layer_is_shown_and_noted_once(tmp_path: Path, workers: str) -> None:
    note = tmp_path / "times"
    code, output = run(tmp_path, "plans", "def test_one(): pass\n", workers, LAYER_TIMES=str(note))
    assert code == 0
    assert "time in the tests of each layer, added up over all workers: plans 0 s" in output
    assert note.read_text() == "plans 0\n"


def test_a_slow_machine_fails_no_property(tmp_path: Path) -> None:
    slow = (
        "import time\nfrom hypothesis import given, settings, strategies\n\n"
        "@settings(max_examples=2)\n@given(strategies.booleans())\ndef test_one(_): time.sleep(0.3)\n"
    )
    code, output = run(tmp_path, "unit", slow)
    assert code == 0, output
