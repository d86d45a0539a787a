"""Every edge host: the program that runs, its configuration, its sockets, what the tailnet lets it reach."""

from __future__ import annotations

import json
import re

import pytest
from testinfra.host import Host

from tailwart.environment import Edge, Environment
from tests.verify.services import PORTS, public, tailnet
from tests.verify.trap import avoided

DIRECTORY = "/opt/tailwart/edge"


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


def test_public_services_listen_on_both_families(edge_host: Host, environment: Environment, edge: Edge) -> None:
    listening = edge_host.check_output("ss -Hltn")
    for port in (*public(environment, edge).values(), *([443] if edge.owns_https else [])):
        dual = re.search(rf"\s(?:\*|\[::\]):{port}\s", listening)
        avoided(8, dual is not None, f"port {port} does not listen on IPv6:\n{listening}")


def test_the_edge_offers_no_other_mail_service(edge_host: Host, environment: Environment, edge: Edge) -> None:
    pid = edge_host.check_output("docker inspect -f '{{.State.Pid}}' tailwart-edge").strip()
    sockets = [line for line in edge_host.check_output("ss -Hltnp").splitlines() if f"pid={pid}," in line]
    offered = {int(port) for line in sockets for port in re.findall(r":(\d+)\s", line)}
    assert offered & set(PORTS.values()) == set(public(environment, edge).values())


def test_the_mailbox_answers_over_the_tailnet(edge_host: Host, environment: Environment) -> None:
    for port in (*public(environment).values(), 443):
        reached = edge_host.run(f"timeout 10 bash -c '</dev/tcp/{environment.magic_host}/{port}'")
        avoided(
            5 if port == 443 else 11,
            reached.rc == 0,
            f"{environment.magic_host}:{port} cannot be reached from here: the grant, or the sidecar",
        )


def test_the_mailboxs_own_http_port_is_closed_to_the_edge(edge_host: Host, environment: Environment) -> None:
    if environment.tag_edge in environment.ts_admin_src:
        pytest.skip("TS_ADMIN_SRC lets the edges in")
    reached = edge_host.run(f"timeout 5 bash -c '</dev/tcp/{environment.magic_host}/8080'")
    assert reached.rc != 0


def test_services_of_the_tailnet_are_closed_to_the_edge(edge_host: Host, environment: Environment) -> None:
    if {environment.tag_edge, "*", "autogroup:tagged"} & set(environment.ts_mail_src):
        pytest.skip("TS_MAIL_SRC lets the edges in")
    for name, port in tailnet(environment).items():
        reached = edge_host.run(f"timeout 5 bash -c '</dev/tcp/{environment.magic_host}/{port}'")
        assert reached.rc != 0, f"{name}:tailnet in MAIL_SERVICES, and this edge reaches {port}"
