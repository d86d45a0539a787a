"""The script that serves the status page: on the tailnet's address alone, and again when the sidecar was replaced."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwart.checks.published import published
from tests.templates.status.test_status_refresh import SETTINGS
from tests.waiting import until

DOCKER = """#!/bin/sh
cd "$(dirname "$0")"
case "$*" in
  exec*) cat address ;;
  events*) exec cat events ;;
  'image inspect'*) ;;
  *) echo "$*" >>called ;;
esac
"""


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """The script beside an engine that reports an end when the test writes one to `events`."""
    for file in (*published(SETTINGS).files, *(file for unit in published(SETTINGS).units for file in unit.files)):
        (tmp_path / Path(file.path).name).write_bytes(file.data)
    for name, text in (("docker", DOCKER), ("busybox", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "address").write_text("100.64.0.5\n")
    os.mkfifo(tmp_path / "events")
    process = subprocess.Popen(
        [shutil.which("dash") or "sh", str(tmp_path / "serve.sh")],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        start_new_session=True,
    )
    yield tmp_path, process
    if process.poll() is None:
        process.kill()


def called(directory: Path) -> list[str]:
    file = directory / "called"
    return file.read_text().splitlines() if file.exists() else []


def test_it_listens_on_the_tailnet_s_address_and_ends_when_the_sidecar_ends(
    serving: tuple[Path, subprocess.Popen[bytes]],
) -> None:
    directory, process = serving
    (run,) = until(lambda: [line for line in called(directory) if line.startswith("run ")], "the server of the page")
    assert "--network container:ts-stalwart" in run and "httpd -f -p 100.64.0.5:8090 -h /www" in run
    assert "--read-only --user 65534:65534 --cap-drop ALL" in run and "/www:/www:ro" in run
    assert process.poll() is None
    with (directory / "events").open("w") as events:
        events.write("die\n")
        events.flush()
        # The engine's stream goes on; the script does not wait for its end.
        until(lambda: process.poll() is not None, "the script to end")
    assert called(directory)[-1] == "rm -f tailwart-status"
