"""While a mailbox moves, whoever comes to the edge waits for it, and is served when it answers again."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tailwart.edge.caddy_config import ADMIN_SOCKET, EdgeRoutes
from tailwart.edge.holding import PATIENCE, hold, release
from tailwart.edge.image import DIRECTORY, MOUNT
from tailwart.network import SMTP
from tailwart.runner import Completed
from tests.daemons import free_port
from tests.templates.edge.loopback import Edge
from tests.templates.edge.test_edge_drain import DOCKER

HOST = "stalwart.tail1234.ts.net"
AWAY = "127.0.0.2"
"""An address that is not the edge's own, as the edge sees it."""


@dataclass
class Machine:
    """This machine as an edge host: the container is the test's own Caddy."""

    edge: Edge

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        home = self.edge.directory
        for name, text in (("docker", DOCKER), ("systemd-run", "#!/bin/sh\n:\n")):
            (home / name).write_text(text)
            (home / name).chmod(0o755)
        (home / "caddy").unlink(missing_ok=True)
        (home / "caddy").symlink_to(self.edge.binary)
        for path, own in ((ADMIN_SOCKET, self.edge.admin), (DIRECTORY, home), (MOUNT, home)):
            script = script.replace(path, str(own))
        done = subprocess.run(
            ["sh", "-c", f"PATH={home}:$PATH; systemctl() {{ :; }}\n{script}"],
            input=stdin, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        return Completed(done.returncode == 0, done.stdout, done.stderr)


def test_a_connection_waits_for_the_mailbox_and_is_served_when_it_is_there(caddy: Path, tmp_path: Path) -> None:
    mailbox = free_port()
    edge = Edge(caddy, tmp_path, {SMTP.port: free_port()}, {f"{HOST}:25": mailbox})
    edge.write(EdgeRoutes(HOST, ("example.org",), https=False, services=(SMTP,)))
    edge.config.write_text(edge.config.read_text().replace("127.0.0.1:", f"{AWAY}:"))
    host = Machine(edge)
    with edge.running():
        with edge.connect(SMTP.port) as refused:
            assert refused.recv(64) == b"", "an edge as it is gives up at once"
        hold(host)
        assert f'"try_duration":"{PATIENCE}"' in edge.running_document()
        with edge.connect(SMTP.port) as sender:
            sender.settimeout(2)
            with pytest.raises(TimeoutError):
                sender.recv(64)
            sender.settimeout(30)
            with socket.create_server((AWAY, mailbox)) as server:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"220 ready\r\n")
                    assert sender.recv(64) == b"220 ready\r\n", "who waited is served"
                    release(host)
                    assert '"try_duration":"200ms"' in edge.running_document()
                    connection.sendall(b"250 go on\r\n")
                    assert sender.recv(64) == b"250 go on\r\n", "the end of the wait cuts nobody off"
