"""The edge that is about to be replaced takes no new connections, and waits for the mail that is under way."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from tailwart.edge.caddy_config import ADMIN_SOCKET, EdgeRoutes
from tailwart.edge.drain import drain
from tailwart.network import SMTP
from tailwart.runner import Completed
from tests.daemons import free_port
from tests.templates.edge.loopback import Edge, Upstream
from tests.templates.edge.test_edge_web_share import answers
from tests.waiting import until

HOST = "stalwart.tail1234.ts.net"
DOCKER = '#!/bin/sh\n[ "$1" = exec ] || exit 1\nshift; [ "$1" != -i ] || shift\nshift; exec "$@"\n'


@dataclass
class Machine:
    """This machine as an edge host: the container is the test's own Caddy, which listens on another port."""

    edge: Edge

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        home = self.edge.directory
        (home / "docker").write_text(DOCKER)
        (home / "docker").chmod(0o755)
        (home / "systemd-run").write_text(f'#!/bin/sh\necho "$@" >>{home}/armed\n')
        (home / "systemd-run").chmod(0o755)
        here = script.replace(ADMIN_SOCKET, str(self.edge.admin)).replace("sport = :25 ", f"sport = :{self.port} ")
        done = subprocess.run(
            ["sh", "-c", f"PATH={home}:$PATH; systemctl() {{ :; }}\n{here}"],
            input=stdin.replace(ADMIN_SOCKET, str(self.edge.admin)), capture_output=True, text=True, timeout=timeout,
            check=False,
        )  # fmt: skip
        return Completed(done.returncode == 0, done.stdout, done.stderr)

    @property
    def port(self) -> int:
        return self.edge.ports[SMTP.port]


def test_new_connections_are_refused_and_the_message_under_way_ends(caddy: Path, tmp_path: Path) -> None:
    with Upstream(b"220 ready\r\n").running() as mailbox:
        edge = Edge(caddy, tmp_path, {SMTP.port: free_port()}, {f"{HOST}:25": mailbox.port})
        edge.write(EdgeRoutes(HOST, ("example.org",), https=False, services=(SMTP,)))
        with edge.running():
            host = Machine(edge)
            drain(host)
            assert answers(host.port), "nobody is there: nothing is closed, nothing waited for"
            message = edge.connect(SMTP.port)
            assert message.recv(64) == b"220 ready\r\n"
            draining = threading.Thread(target=drain, args=(host,))
            draining.start()
            until(lambda: not answers(host.port), "the edge to take no new connections")
            message.sendall(b"ping\n")
            assert message.recv(64) == b"pong\n", "the open connection goes on"
            assert draining.is_alive()
            message.close()
            draining.join(15)
            assert not draining.is_alive(), "it is over with the last message"
            armed = (tmp_path / "armed").read_text()
            assert "caddy reload --config" in armed, "a run that dies now leaves a host that opens the edge again"
            assert armed.count("\n") == 1
