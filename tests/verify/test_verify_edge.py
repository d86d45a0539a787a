"""Every edge host: the program that runs, its configuration, its sockets, what the tailnet lets it reach."""

from __future__ import annotations

import json
import re

from testinfra.host import Host

from tailwart.environment import Edge, Environment
from tests.verify.trap import avoided

DIRECTORY = "/opt/tailwart/edge"
MAIL_PORTS = (25, 465, 587, 143, 993)


def test_the_container_runs_and_is_healthy(edge_host: Host, edge: Edge) -> None:
    state = json.loads(edge_host.check_output("docker inspect -f '{{json .State}}' tailwart-edge"))
    assert state["Status"] == "running", edge.name
    assert state.get("Health", {}).get("Status", "healthy") == "healthy", state["Health"]["Log"][-1:]


def test_the_binary_is_the_recorded_one_and_has_layer4(edge_host: Host) -> None:
    recorded = edge_host.file(f"{DIRECTORY}/caddy.sha256").content_string.split()[0]
    running = edge_host.check_output("docker exec tailwart-edge sha256sum /usr/bin/caddy").split()[0]
    assert running == recorded
    modules = edge_host.check_output("docker exec tailwart-edge caddy list-modules").split()
    assert {"layer4", "layer4.handlers.proxy", "layer4.handlers.proxy_protocol"} <= set(modules)


def test_caddy_accepts_its_configuration(edge_host: Host) -> None:
    result = edge_host.run("docker exec tailwart-edge caddy validate --config /etc/caddy/caddy.json")
    assert result.rc == 0, result.stderr


def test_mail_ports_listen_on_both_families(edge_host: Host) -> None:
    listening = edge_host.check_output("ss -Hltn")
    for port in MAIL_PORTS:
        dual = re.search(rf"\s(?:\*|\[::\]):{port}\s", listening)
        avoided(8, dual is not None, f"port {port} does not listen on IPv6:\n{listening}")


def test_the_mailbox_answers_over_the_tailnet(edge_host: Host, environment: Environment) -> None:
    for port in (*MAIL_PORTS, 443):
        reached = edge_host.run(f"timeout 10 bash -c '</dev/tcp/{environment.magic_host}/{port}'")
        avoided(
            5 if port == 443 else 11,
            reached.rc == 0,
            f"{environment.magic_host}:{port} cannot be reached from here: the grant, or the sidecar",
        )


def test_the_mailboxs_own_http_port_is_closed_to_the_edge(edge_host: Host, environment: Environment) -> None:
    reached = edge_host.run(f"timeout 5 bash -c '</dev/tcp/{environment.magic_host}/8080'")
    assert (reached.rc == 0) is environment.jmap_vhost
