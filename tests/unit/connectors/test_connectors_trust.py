"""`tailwart env trust`: new keys are shown and written only when confirmed; a changed one is never accepted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from click.testing import CliRunner, Result

from tailwart.cli.env import trust
from tailwart.errors import TailwartError
from tests.unit.connectors.sshd import Sshd, sshd


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with sshd(tmp_path) as found:
        path = tmp_path / "env"
        path.touch(mode=0o600)
        path.write_text(
            f"DOMAIN=example.org\nTS_TAILNET=tail1234.ts.net\nEDGES=edge-1\nEDGE_1_SSH=op@127.0.0.1:{found.port}\n"
            f"SSH_KNOWN_HOSTS={found.known_hosts}\nSSH_KEY={found.identity}\n"
        )
        monkeypatch.setenv("TAILWART_ENV", str(path))
        yield found


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(trust, arguments, input=answer)


def test_a_new_key_is_shown_and_written_only_after_a_yes(server: Sshd) -> None:
    refused = run(answer="n\n")
    assert refused.exit_code == 1
    assert server.host_key.fingerprint in refused.output
    assert not server.known_hosts.exists()
    assert run(answer="y\n").exit_code == 0
    assert server.known_hosts.read_text() == (
        f"[127.0.0.1]:{server.port} {server.host_key.get_name()} {server.host_key.get_base64()}\n"
    )
    assert server.known_hosts.stat().st_mode & 0o777 == 0o600
    again = run()
    assert again.exit_code == 0
    assert "known" in again.output


def test_what_the_file_held_stays(server: Sshd) -> None:
    server.known_hosts.write_text("# mine, without a newline at the end")
    assert run("--yes").exit_code == 0
    assert server.known_hosts.read_text().startswith("# mine, without a newline at the end\n[127.0.0.1]")


def test_a_changed_key_is_never_accepted(server: Sshd) -> None:
    server.introduce(paramiko.ECDSAKey.generate())
    before = server.known_hosts.read_text()
    refused = run("--yes")
    assert isinstance(refused.exception, TailwartError)
    assert "HAS CHANGED" in str(refused.exception)
    assert f"ssh-keygen -f {server.known_hosts} -R" in refused.exception.remedy
    assert server.known_hosts.read_text() == before
