"""No secret in anything that is printed, logged, passed as an argument or left in a file that others can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import hosts
from tests.lab.deploying import environment_of, run_pyinfra, secret_values
from tests.lab.mailbox import shell
from tests.lab.state import make_bare
from tests.lab.verifying import verify


@pytest.mark.parametrize(
    "arguments",
    [
        ("--dry", "--diff", "-vvv"),
        pytest.param(("-y", "-vvv", "--diff"), marks=pytest.mark.long),
        ("-y", "--debug-all"),  # the loudest of all
    ],
)
def test_the_loudest_runs_show_no_secret(lab_environment: Path, arguments: tuple[str, ...]) -> None:
    # On a bare mailbox, so that every file, setting and login is really written. `run_pyinfra` searches the output and,
    # all the while, the arguments of every process of every host.
    make_bare("mailbox")
    run = run_pyinfra(lab_environment, *arguments)
    assert run.code == 0, run.last_lines
    assert "mailbox" in run.output


@pytest.mark.leaves_deployed
def test_reports_and_container_logs_show_no_secret(deployed: Path) -> None:
    output = verify(deployed)
    for host, container in (("mailbox", "stalwart"), ("mailbox", "ts-stalwart"), ("edge-1", "tailwart-edge")):
        output += shell(host, f"docker logs {container} 2>&1; journalctl --no-pager --since -1h")
    leaked = [secret for secret in secret_values(environment_of(deployed)) if secret in output]
    assert not leaked, f"{len(leaked)} secrets stand in reports or logs"


@pytest.mark.leaves_deployed
@pytest.mark.parametrize("host", ["mailbox", "edge-1", "backends"])
def test_files_with_secrets_are_readable_by_root_alone(deployed: Path, host: str) -> None:
    environment = environment_of(deployed)
    secrets = secret_values(environment)
    if host == "backends" and environment.s3_access_key:
        # A store logs which key a request came with, by its id, as an authentication log names users.
        secrets -= {environment.s3_access_key.get_secret_value()}
    for secret in secrets:
        command = "grep -rlF -f - /opt /etc/docker /root /tmp /var/log 2>/dev/null | xargs -r stat -c '%a %U %n'"
        found = hosts.exec(host, ["sh", "-c", command], stdin=secret.encode(), check=False).stdout.decode()
        wide = [line for line in found.splitlines() if not line.startswith(("600 root", "400 root"))]
        assert not wide, f"a secret can be read by others in {wide}"
