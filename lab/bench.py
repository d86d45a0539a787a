"""`make bench`: the figures of lab and deploy, measured here and printed, never asserted.

Run it on a deployed lab (`make demo` first). Nothing is changed but by the deploys themselves.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lab import dotenv, hosts, lifecycle, paths, throughput
from lab.emptying import drop_database
from lab.latency import DelayProxy
from tailwart.environment import Environment, load
from tailwart.environment.keys import edge_key
from tailwart.printing import say

_RUNS = 5
_DELAY = 0.050


@dataclass(frozen=True)
class Figure:
    """One finished deploy as a process."""

    seconds: float
    megabytes: float
    output: str


def main() -> None:
    """Measure, then print one table."""
    path = dotenv.path()
    rows = [("lab up, warm", f"{_timed(lifecycle.up):.1f} s")]
    rows.append(("first deploy, bare mailbox and edge", f"{_first(path).seconds:.1f} s"))
    plain = [_deploy(path) for _ in range(_RUNS)]
    rows.append((f"no-op deploy, all roles, median of {_RUNS}", _median(plain)))
    rows.append(("peak memory of the no-op deploy", f"{max(figure.megabytes for figure in plain):.0f} MB"))
    for host, count in sorted(_commands(path).items()):
        rows.append((f"remote commands of the no-op on {host}", str(count)))
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        delayed, proxies = _delayed(path, Path(directory), stack)
        slow = [_deploy(delayed) for _ in range(_RUNS)]
        rows.append((f"no-op deploy with {_DELAY * 1000:.0f} ms round-trip time, median of {_RUNS}", _median(slow)))
        for name, proxy in proxies.items():
            rows.append((f"round trips of one no-op to {name}", f"{proxy.round_trips / _RUNS:.0f}"))
    if os.environ.get("BENCH_EDGES", "8") != "0":
        rows += _edges(int(os.environ.get("BENCH_EDGES", "8")))
    width = max(len(name) for name, _ in rows)
    say(f"\n{os.cpu_count()} processors; medians; wall-clock time of the whole process")
    for name, value in rows:
        say(f"  {name:<{width}}  {value}")
    # Last: its image comes from Debian's archive, and without that the figures above still count.
    for name, value in throughput.rows(hosts.running_engine()):
        say(f"  {name:<{width}}  {value}")


def _edges(number: int) -> list[tuple[str, str]]:
    """First deploy and no-op of the edges alone: one, and that many."""
    path, found = dotenv.path(), []
    for count in (1, number):
        lifecycle.up(count)
        # The others of the role are joined to the tailnet by the deploy as well: every one begins bare.
        hosts.recreate(*(f"edge-{index + 1}" for index in range(count)))
        say(f"{count} bare edges …")
        found.append((_deploy(path, "--limit", "edge"), [_deploy(path, "--limit", "edge") for _ in range(_RUNS)]))
    lifecycle.up(1)
    (one, plain), (many, several) = found
    times = statistics.median(each.seconds for each in several) / statistics.median(each.seconds for each in plain)
    return [
        ("first deploy of one bare edge", f"{one.seconds:.1f} s"),
        (f"first deploy of {number} bare edges", f"{many.seconds:.1f} s, {many.seconds / one.seconds:.1f} times"),
        ("no-op deploy of one edge", _median(plain)),
        (f"no-op deploy of {number} edges", f"{_median(several)}, {times:.1f} times"),
    ]


def _timed(action: object) -> float:
    assert callable(action)
    started = time.monotonic()
    action()
    return time.monotonic() - started


def _first(path: Path) -> Figure:
    say("bare mailbox and edge-1 …")
    hosts.recreate("mailbox", "edge-1")
    drop_database()
    return _deploy(path)


def _deploy(path: Path, *arguments: str) -> Figure:
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "pyinfra"), "-y", *arguments, "inventory.py", "deploy.py"],
            cwd=paths.PROJECT,
            env={**os.environ, "TAILWART_ENV": str(path), "PYINFRA_PROGRESS": "off"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise SystemExit(f"the deploy failed, there is nothing to measure:\n{text[-3000:]}")
    return Figure(seconds, usage.ru_maxrss / 1024, text)


def _median(figures: list[Figure]) -> str:
    seconds = [figure.seconds for figure in figures]
    return f"{statistics.median(seconds):.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})"


def _commands(path: Path) -> Counter[str]:
    """Host → commands that pyinfra ran on it, counted in its debug output."""
    output = _deploy(path, "--debug").output
    return Counter(re.findall(r"Running command on (\S+?):", output))


def _delayed(path: Path, directory: Path, stack: ExitStack) -> tuple[Path, dict[str, DelayProxy]]:
    """A `.env` whose SSH hosts are reached through proxies that hold every packet back."""
    environment = load(path).environment
    lines = path.read_text().splitlines()
    known = Path(str(environment.ssh_known_hosts)).read_text()
    proxies = {}
    for key, (host, port) in _targets(environment).items():
        proxy = stack.enter_context(DelayProxy(host, port, _DELAY / 2))
        proxies[key.removesuffix("_SSH").lower()] = proxy
        lines = [line for line in lines if not line.startswith(f"{key}=")] + [f"{key}=root@127.0.0.1:{proxy.port}"]
        known += known_hosts_line(known, port, proxy.port)
    known_path, target = directory / "known_hosts", directory / "env"
    known_path.write_text(known)
    lines = [line for line in lines if not line.startswith("SSH_KNOWN_HOSTS=")] + [f"SSH_KNOWN_HOSTS={known_path}"]
    paths.write_private(target, "\n".join(lines).encode())
    return target, proxies


def _targets(environment: Environment) -> dict[str, tuple[str, int]]:
    found = {edge_key(edge.name, "ssh"): edge.ssh for edge in environment.edges}
    found |= {key: ssh for key in ("MAILBOX_SSH", "BACKENDS_SSH") if (ssh := getattr(environment, key.lower()))}
    return {key: (ssh.host, ssh.port) for key, ssh in found.items()}


def known_hosts_line(known: str, port: int, proxy_port: int) -> str:
    """The host's key again, under the proxy's port."""
    (key,) = re.findall(rf"^\[127\.0\.0\.1\]:{port} (.+)$", known, re.MULTILINE)
    return f"[127.0.0.1]:{proxy_port} {key}\n"


if __name__ == "__main__":
    main()
