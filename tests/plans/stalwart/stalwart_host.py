"""A mailbox host in a network namespace: the settings plane's own scripts, a simulated `docker` on PATH, a real server.

The server is the stand-in, or the binary that STALWART_BINARY names; it listens on the real ports of the namespace.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tailwart.mailbox import names
from tailwart.runner import Completed, Runner
from tailwart.stalwart.lifecycle import bootstrap
from tailwart.stalwart.lifecycle.recovery import Recovery
from tailwart.stalwart.lifecycle.server import Log, Server
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.settings.inputs import MailboxSettings
from tests.contract.namespace import Namespace, namespace
from tests.contract.resolver import resolver
from tests.contract.server import binary

ENVIRONMENT = {
    names.ENV_SMARTHOST: "smarthost-password-1",
    names.ENV_S3: "s3secretkey",
    "STALWART_RFC2136_KEY": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
    "SPACESHIP_API_SECRET": "spaceship-secret",
    "RUST_BACKTRACE": "0",
}

_DOCKER = """#!/bin/sh
# Stands in for docker, with one container: a process in a network namespace, its state in files beside this script.
here=@HERE@
alive() { [ -f $here/pid ] && kill -0 "$(cat $here/pid)" 2>/dev/null; }
case "$1" in
inspect)
  alive || exit 1
  case "$3" in
    *Status*) echo "running $(cat $here/started) stalwartlabs/stalwart:v0.16.7" ;;
    *StartedAt*) cat $here/started ;;
    *Running*) echo true ;;
  esac ;;
exec)
  shift; [ "$1" = -i ] && shift; shift
  alive || { echo "Error response from daemon: container is not running" >&2; exit 1; }
  [ "$1 $2" = "cat /proc/net/tcp" ] && exec @ENTER@ "$@"
  set -a; . $here/stalwart.env; set +a
  PATH=$here/inside:$PATH exec @ENTER@ "$@" ;;
restart) exec $here/start ;;
logs) tail -n 20 $here/log ;;
esac
"""
_START = """#!/bin/sh
here=@HERE@
if [ -f $here/pid ] && kill "$(cat $here/pid)" 2>/dev/null; then
  while kill -0 "$(cat $here/pid)" 2>/dev/null; do sleep 0.05; done
fi
date -u +%Y-%m-%dT%H:%M:%S.%NZ | tee -a $here/starts > $here/started
set -a; . $here/stalwart.env; . $here/mailbox/bootstrap.env; set +a
@ENTER@ @BINARY@ --config $here/config.json </dev/null >>$here/log 2>&1 &
echo $! > $here/pid
"""


_NC = f"""#!{sys.executable}
import socket, sys, threading
peer = socket.create_connection((sys.argv[3], int(sys.argv[4])), float(sys.argv[2]))
def send():
    while data := sys.stdin.buffer.read1():
        peer.sendall(data)
threading.Thread(target=send, daemon=True).start()
try:
    while data := peer.recv(65536):
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
except OSError:
    pass
"""


class Killed(Exception):
    """The run dies here."""


class StalwartHost:
    """One host with one server; `run` is a `Runner`, `deploy` does what the mailbox role does."""

    def __init__(self, directory: Path, space: Namespace) -> None:
        self.directory = directory
        self.space = space
        self.home = directory / "mailbox"
        self.home.mkdir(mode=0o700)
        (directory / "inside").mkdir()
        (directory / "inside" / "stalwart").symlink_to(binary())
        self._script("inside/tailscale", "#!/bin/sh\necho 100.64.0.5\n")
        self._script("inside/nc", _NC)
        subprocess.run(space.command("ip", "address", "add", "100.64.0.5/32", "dev", "lo"), check=True)
        (directory / "data").mkdir()
        store = {"@type": "RocksDb", "path": str(directory / "data")}
        (directory / "config.json").write_text(json.dumps(store))
        lines = (f"{name}={shlex.quote(value)}\n" for name, value in ENVIRONMENT.items())
        (directory / "stalwart.env").write_text("".join(lines))
        self._script("docker", _DOCKER)
        self._script("start", _START)
        self.commands = 0
        self.kill_at = 0
        self.scripts: list[str] = []
        # No pyinfra host: the commands pass it on to the guard against a second server, which these tests replace.
        self.host = None

    def set_variables(self, **variables: str) -> None:
        """Variables of the container; they count from its next start on."""
        with (self.directory / "stalwart.env").open("a") as file:
            file.writelines(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())

    def _script(self, name: str, text: str) -> None:
        values = {"@HERE@": str(self.directory), "@ENTER@": shlex.join(self.space.command()), "@BINARY@": str(binary())}
        for mark, value in values.items():
            text = text.replace(mark, value)
        (self.directory / name).write_text(text)
        (self.directory / name).chmod(0o755)

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.commands += 1
        self.scripts.append(script)
        environment = {**os.environ, "PATH": f"{self.directory}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", "-c", script], input=stdin, capture_output=True, text=True, timeout=300, env=environment, check=False
        )
        if self.kill_at == self.commands:
            raise Killed
        return Completed(done.returncode == 0, done.stdout, done.stderr)

    def running_environment(self) -> dict[str, str]:
        """The variables of the process that runs."""
        try:
            pid = (self.directory / "pid").read_text().strip()
            raw = Path(f"/proc/{pid}/environ").read_bytes().decode()
        except OSError:
            return {}
        return dict(item.split("=", 1) for item in raw.split("\0") if "=" in item)

    @property
    def starts(self) -> int:
        path = self.directory / "starts"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def up(self) -> None:
        """Compose: starts the container, or recreates it when its environment differs from its files."""
        desired = {
            line.partition("=")[0]: line.partition("=")[2]
            for line in (self.home / "bootstrap.env").read_text().splitlines()
        }
        current = {
            name: value for name, value in self.running_environment().items() if name.startswith("STALWART_RECOVERY")
        }
        if desired != current or not self.running_environment():
            subprocess.run([str(self.directory / "start")], check=True)

    def plane(self, settings: MailboxSettings, log: Log = lambda _: None) -> Server:
        return Server(self, settings, self.up, directory=str(self.home), log=log)

    def recovery(self, run: Runner, recreate: Callable[[], None], **rest: Any) -> Recovery:
        """A recovery of this host, in the place of one on a host with the real paths."""
        return Recovery(run, recreate, directory=str(self.home), **rest)

    def deploy(self, settings: MailboxSettings) -> None:
        """What the mailbox role does, in its order."""
        if not bootstrap.prepared(self, str(self.home)):
            bootstrap.prepare(self, str(self.home))
        self.up()
        plane = self.plane(settings)
        if not self.starts_are_answered():
            plane.apply(None)
            return
        observed = plane.observe()
        if not observed.up_to_date:
            plane.apply(observed)

    def starts_are_answered(self) -> bool:
        """Whether the server answers already; Compose would have waited for its healthcheck."""
        command = "docker exec stalwart curl -sf -o /dev/null http://127.0.0.1:8080/healthz/live"
        environment = {**os.environ, "PATH": f"{self.directory}:{os.environ['PATH']}"}
        return subprocess.run(["sh", "-c", command], env=environment, check=False).returncode == 0

    def client(self) -> Client:
        """The administrator's own view of the server."""
        return Client(ContainerTransport(self, stored_login(str(self.home))))

    def call(self, kind: str, method: str, **arguments: Any) -> dict[str, Any]:
        """One call by hand, as an operator in the admin UI would make it."""
        (answer,) = self.client().call([Call(kind, method, arguments)])
        return dict(answer.arguments)

    def objects(self, kind: str) -> list[dict[str, Any]]:
        found = self.call(kind, "get", ids=None)["list"]
        # A real server does not count the one object of a kind among all of it.
        return list(found or self.call(kind, "get", ids=[SINGLETON])["list"])

    def stop(self) -> None:
        pid = self.directory / "pid"
        if pid.exists():
            subprocess.run(["kill", pid.read_text().strip()], check=False, capture_output=True)


@contextmanager
def stalwart_host(directory: Path, *, named: bool = False) -> Iterator[StalwartHost]:
    """A host of a test's own; `named`: the caller runs a name server on the resolver's address itself."""
    with namespace() as space, nullcontext() if named else resolver(space):
        made = StalwartHost(directory, space)
        try:
            yield made
        finally:
            made.stop()
