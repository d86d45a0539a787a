"""The private dockerd for a machine that has no engine running: own socket, own data root, started and stopped here."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from lab import paths
from lab.engine import firewall
from tailwart.errors import TailwartError

# Seconds. dockerd tries for a while to stop containers by itself, but `lab down` has removed them before.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 40.0


def directory() -> Path:
    return paths.state() / "engine"


def socket() -> str:
    return f"unix://{directory() / 'docker.sock'}"


def data_root() -> Path:
    return paths.cache() / "docker"


def log_file() -> Path:
    return directory() / "dockerd.log"


def _pid_file() -> Path:
    return directory() / "dockerd.pid"


def running_pid() -> int | None:
    """The private dockerd's process id; None when it does not run.

    A number alone proves nothing after a reboot: the process must also be a dockerd with our own data root.
    """
    try:
        pid = int(_pid_file().read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(data_root()) in command else None


def left_behind() -> bool:
    """Whether the private dockerd was killed: it removes its pid file when it ends by itself.

    Its containers then live on without it.
    """
    return _pid_file().is_file() and running_pid() is None


def start() -> int:
    """Start dockerd and wait until it answers. Raises TailwartError with the end of its log."""
    if (pid := running_pid()) is not None and _answers():
        return pid
    paths.ensure_private(directory())
    data_root().mkdir(parents=True, exist_ok=True)
    # dockerd refuses to start over the pid file of a killed predecessor when that number is in use again.
    _pid_file().unlink(missing_ok=True)
    firewall.remember(_firewall_note())
    if not Path("/sys/class/net/docker0").exists():
        (directory() / "made-docker0").touch()
    command = [
        "dockerd",
        *("--host", socket(), "--data-root", str(data_root()), "--exec-root", str(directory() / "exec")),
        *("--pidfile", str(_pid_file()), "--config-file", str(_config())),
    ]
    with log_file().open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers():
        if process.poll() is not None or time.monotonic() > deadline:
            raise TailwartError(
                "the lab's own container engine did not start",
                seen=_reason(),
                remedy=f"read {log_file()}; if a firewall tool is missing: apt-get install iptables",
            )
        time.sleep(0.1)
    return process.pid


def _firewall_note() -> Path:
    return directory() / "firewall-before.json"


def _remove_default_bridge() -> None:
    """dockerd leaves docker0 behind. Ours goes with it, unless the machine had one before."""
    marker = directory() / "made-docker0"
    if marker.is_file():
        subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)
        marker.unlink()


def stop() -> bool:
    """Stop the private dockerd if it runs; True when there was one."""
    pid = running_pid()
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while running_pid() is not None:
        if time.monotonic() > deadline:
            raise TailwartError(
                f"dockerd (process {pid}) did not stop within {STOP_TIMEOUT:g} s",
                remedy=f"read {log_file()}, then: kill -9 {pid}",
            )
        _reap(pid)
        time.sleep(0.05)
    _remove_default_bridge()
    firewall.restore(_firewall_note())
    return True


def _config() -> Path:
    # An explicit file, because /etc/docker/daemon.json of the machine is not meant for this engine.
    path = directory() / "daemon.json"
    paths.write_private(path, b"{}\n")
    return path


def _answers() -> bool:
    result = subprocess.run(
        ["docker", "--host", socket(), "version", "--format", "{{.Server.Version}}"],
        capture_output=True,
        check=False,
        timeout=20,
    )
    return result.returncode == 0


def _reason() -> str:
    lines = log_file().read_text(errors="replace").splitlines()
    telling = [line for line in lines if "level=fatal" in line or "level=error" in line or "failed" in line]
    return (telling or lines or ["no output"])[-1]


def _reap(pid: int) -> None:
    # Only when dockerd is a child of this very process; otherwise init collects it.
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
