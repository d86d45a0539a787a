"""`tailwart adopt` before it reaches any host: which hosts it is about, and what it leaves alone in a `.env`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tailwart.environment.editing import values


def adopt(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command without a terminal."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "tailwart"), "adopt", *words],
        env={**os.environ, "TAILWART_ENV": str(path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_host_it_says_how_to_name_one(tmp_path: Path) -> None:
    done = adopt(tmp_path / ".env")
    assert done.returncode == 1
    assert "tailwart adopt --mailbox USER@HOST" in done.stderr
    assert not (tmp_path / ".env").exists()


def test_another_host_than_that_of_the_file_is_refused_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nMAILBOX_SSH=root@192.0.2.10\n")
    done = adopt(path, "--mailbox", "root@192.0.2.11")
    assert done.returncode == 1
    assert "names another MAILBOX_SSH" in done.stderr
    assert path.read_text() == "# mine\nMAILBOX_SSH=root@192.0.2.10\n"


def test_hosts_are_kept_before_anything_is_asked_of_them(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    # A port where nothing listens.
    done = adopt(path, "--mailbox", "root@127.0.0.1:9", "--edge", "root@127.0.0.1:9", "--edge", "root@[::1]:9")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert values(path.read_text()) == {
        "MAILBOX_SSH": "root@127.0.0.1:9",
        "EDGES": "edge-1,edge-2",
        "EDGE_1_SSH": "root@127.0.0.1:9",
        "EDGE_2_SSH": "root@[::1]:9",
    }
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("words", [("--back",), ("--back", "--yes")])
def test_the_way_back_needs_the_settings(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = adopt(tmp_path / ".env", *words)
    assert done.returncode == 1
    assert "no such file" in done.stderr
