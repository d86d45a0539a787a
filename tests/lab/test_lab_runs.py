"""How runs end on real hosts: beside another run, on a silent network, as another user, with a server that refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tailwart.connectors.ssh import PromptTransport
from tests.lab.deploying import ROOT, deploy, run_pyinfra, variant
from tests.lab.mailbox import DIRECTORY, shell
from tests.waiting import until

BIN = Path(sys.executable).parent
_LOCK = f"{DIRECTORY}/.lock"
_HOLDER = f"flock {_LOCK} sleep 305"


@dataclass
class Work:
    """A deploy in another process, and what it has printed so far."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def last_lines(self) -> str:
        return "\n".join([line for line in self.output.splitlines() if line.strip()][-16:])


@contextmanager
def at_work(deployed: Path, directory: Path) -> Iterator[Work]:
    """A deploy that is at work on the mailbox host, and stays there: it waits for the lock of the project."""
    shell("mailbox", f"rm -f {DIRECTORY}/.applied; setsid {_HOLDER} >/dev/null 2>&1 </dev/null &")
    until(lambda: "free" not in shell("mailbox", f"flock -n {_LOCK} echo free || :"), "the lock to be held")
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(BIN / "pyinfra"), "-y", "inventory.py", "deploy.py"],
            cwd=ROOT,
            env={**os.environ, "TAILWART_ENV": str(deployed), "PYINFRA_PROGRESS": "off"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    work = Work(process, log)
    try:
        until(lambda: "it was never brought up completely" in work.output, "the deploy at work", 120)
        yield work
    finally:
        process.kill()
        process.wait()
        shell("mailbox", "for id in $(pgrep -f '[s]leep 305'); do kill $id; done 2>/dev/null || :")


@pytest.mark.leaves_deployed
def test_a_second_run_says_who_is_at_work_and_a_killed_one_is_healed_by_the_next(
    deployed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILWART_WAIT", "0")
    with at_work(deployed, tmp_path) as first:
        second = run_pyinfra(deployed, "-y")
        assert second.code == 1
        for expected in ("another run is at work on mailbox", f"(process {first.process.pid}) since 20", "remedy:"):
            assert expected in second.output
    until(lambda: "tailwart.holder" not in shell("mailbox", "ps -eo args"), "the turn of the killed run to be free")
    deploy(deployed)
    assert deploy(deployed).changes == {}


@pytest.mark.leaves_deployed
def test_a_host_that_falls_silent_ends_in_a_clear_error_and_the_others_are_finished(
    deployed: Path, tmp_path: Path
) -> None:
    rules = ("INPUT -p tcp --dport 22 -j DROP", "OUTPUT -p tcp --sport 22 -j DROP")
    with at_work(deployed, tmp_path) as work:
        shell("mailbox", " && ".join(f"iptables -I {rule}" for rule in rules))
        try:
            code = work.process.wait(120)
        finally:
            shell("mailbox", "; ".join(f"iptables -D {rule}" for rule in rules))
    assert code == 1
    last = work.last_lines
    for expected in ("Failed: mailbox: Mailbox: sidecar and Stalwart up", "no sign of life for", "remedy:"):
        assert expected in last, last
    assert PromptTransport.silence < 50
    assert "Failed: edge-1" not in work.output
    assert "Traceback" not in work.output
    deploy(deployed)


@pytest.mark.leaves_deployed
def test_a_server_that_refuses_the_login_stops_neither_edge_nor_dns(deployed: Path, tmp_path: Path) -> None:
    credentials = f"{DIRECTORY}/credentials"
    shell("mailbox", f"cp -p {credentials} {credentials}.kept; echo 'admin:wrong' >{credentials}")
    try:
        # Neither the login that was last proven nor the one of the file is let in.
        path = variant(deployed, tmp_path / "env", STALWART_ADMIN_PASSWORD="Another-long-password-4711-of-nobody")
        run = deploy(path, expect=1)
    finally:
        shell("mailbox", f"mv {credentials}.kept {credentials}")
    assert run.document["results"]["failed_hosts"] == ["mailbox"], run.last_lines
    assert "Failed: mailbox: Mailbox: settings of Stalwart" in run.last_lines
    assert "remedy:" in run.last_lines
    assert "Traceback" not in run.output
    assert {"edge-1", "@plane/dns"} <= run.hosts
    assert deploy(deployed).changes == {}


# sudo for hosts without the package: a shell that may become root, called as sudo is.
_SUDO = """set -e
id deployer >/dev/null 2>&1 || useradd -m -s /bin/sh deployer
install -d -o deployer -m 0700 /home/deployer/.ssh
install -o deployer -m 0600 /root/.ssh/authorized_keys /home/deployer/.ssh/authorized_keys
install -m 4755 /bin/dash /usr/local/lib/rootsh
cat >/usr/local/bin/sudo <<'END'
#!/bin/sh
[ -e /etc/sudoers.deployer ] || { echo 'sudo: a password is required' >&2; exit 1; }
while case $1 in -*) ;; *) false ;; esac; do shift; done
exec /usr/local/lib/rootsh -p -c 'exec setpriv --reuid=0 --regid=0 --init-groups -- "$@"' sudo "$@"
END
chmod 0755 /usr/local/bin/sudo
: >/etc/sudoers.deployer
"""
_KEYS = {"mailbox": "MAILBOX_SSH", "edge-1": "EDGE_1_SSH", "backends": "BACKENDS_SSH"}


@pytest.fixture(scope="module")
def operators(lab_environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The `.env` of an installation whose hosts are reached as a user with sudo."""
    given = dict(line.split("=", 1) for line in lab_environment.read_text().splitlines() if "=" in line)
    changes = {key: given[key].replace("root@", "deployer@") for key in _KEYS.values()}
    for name in _KEYS:
        shell(name, _SUDO)
    yield variant(lab_environment, tmp_path_factory.mktemp("deployer") / "env", **changes)
    for name in _KEYS:
        shell(name, "rm -f /usr/local/lib/rootsh /usr/local/bin/sudo /etc/sudoers.deployer; userdel -rf deployer || :")


@pytest.mark.leaves_deployed
def test_every_command_works_as_a_user_with_sudo(deployed: Path, operators: Path) -> None:
    shell("mailbox", f"rm -f {DIRECTORY}/.applied")
    assert deploy(operators).changes.keys() == {"mailbox"}
    environment = {**os.environ, "TAILWART_ENV": str(operators), "PATH": f"{BIN}:{os.environ['PATH']}"}
    for command in (
        "tailwart settings plan --exit-code",
        "tailwart account list",
        "tailwart recover --yes",
        "tailwart dns plan",
        "tailwart tailnet matrix",
        "pytest -q -x tests/verify/test_verify_mailbox.py tests/verify/test_verify_edge.py",
    ):
        result = subprocess.run(
            command.split(), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert result.returncode == 0, f"{command}\n{(result.stdout + result.stderr)[-3000:]}"
    assert deploy(operators).changes == {}


@pytest.mark.leaves_deployed
def test_a_user_without_the_right_to_sudo_is_told_what_is_needed(deployed: Path, operators: Path) -> None:
    shell("mailbox", "rm /etc/sudoers.deployer")
    run = run_pyinfra(operators, "-y")
    assert run.code == 1
    for expected in ("Failed: mailbox", "deployer cannot become root on mailbox", "NOPASSWD"):
        assert expected in run.last_lines
    assert "Failed: edge-1" not in run.output
