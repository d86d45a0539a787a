"""The mailbox host: files, containers, networks, mounts, sockets, stores."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from testinfra.host import Host

from tailwart.environment import Environment
from tests.verify.conftest import Namespace
from tests.verify.services import PORTS, public, tailnet
from tests.verify.trap import avoided

DIRECTORY = "/opt/tailwart/mailbox"
WEB_PORTS = {443, 8080}


def inspect(mailbox: Host, name: str) -> dict[str, Any]:
    """What the engine says of a container."""
    found: list[dict[str, Any]] = json.loads(mailbox.check_output("docker inspect %s", name))
    return found[0]


@pytest.fixture(scope="module")
def sidecar(mailbox: Host) -> dict[str, Any]:
    """The sidecar's container."""
    return inspect(mailbox, "ts-stalwart")


@pytest.fixture(scope="module")
def stalwart(mailbox: Host) -> dict[str, Any]:
    """Stalwart's container."""
    return inspect(mailbox, "stalwart")


@pytest.mark.parametrize("name", [".env", "bootstrap.env", "credentials", "fingerprints.json"])
def test_secrets_are_readable_by_root_alone(mailbox: Host, name: str) -> None:
    file = mailbox.file(f"{DIRECTORY}/{name}")
    assert file.is_file
    assert (oct(file.mode), file.user) == ("0o600", "root")


def test_config_json_describes_the_data_store_and_holds_no_secret(mailbox: Host, environment: Environment) -> None:
    config = json.loads(mailbox.file(f"{DIRECTORY}/config/config.json").content_string)
    kind = {"postgres": "PostgreSql", "rocksdb": "RocksDb"}[environment.stalwart_store]
    assert config["@type"] == kind
    if kind == "PostgreSql":
        assert config["host"] == environment.stalwart_db_host
        assert config["authSecret"] == {"@type": "EnvironmentVariable", "variableName": "STALWART_DB_PASSWORD"}


def test_compose_accepts_its_file(mailbox: Host) -> None:
    result = mailbox.run(f"cd {DIRECTORY} && docker compose config --quiet")
    assert result.rc == 0, result.stderr


def test_what_runs_was_made_from_the_files_that_stand_there(mailbox: Host) -> None:
    declared = json.loads(mailbox.check_output(f"cd {DIRECTORY} && docker compose config --format json"))["services"]
    for name in ("ts-stalwart", "stalwart"):
        running = inspect(mailbox, name)["Config"]["Labels"].get("tailwart.inputs")
        assert running == declared[name].get("labels", {}).get("tailwart.inputs"), f"{name}: run the mailbox role"


def test_containers_are_running_and_healthy(sidecar: dict[str, Any], stalwart: dict[str, Any]) -> None:
    for container in (sidecar, stalwart):
        state = container["State"]
        assert state["Status"] == "running"
        assert state.get("Health", {}).get("Status", "healthy") == "healthy", state["Health"]["Log"][-1:]


def test_images_are_the_pinned_ones(
    environment: Environment, sidecar: dict[str, Any], stalwart: dict[str, Any]
) -> None:
    assert sidecar["Config"]["Image"] == environment.tailscale_image
    assert stalwart["Config"]["Image"] == environment.stalwart_image


def test_stalwart_lives_in_the_sidecars_namespace(sidecar: dict[str, Any], stalwart: dict[str, Any]) -> None:
    assert stalwart["HostConfig"]["NetworkMode"] == f"container:{sidecar['Id']}"


def test_no_host_port_is_published(mailbox: Host, sidecar: dict[str, Any], stalwart: dict[str, Any]) -> None:
    for container in (sidecar, stalwart):
        assert not container["HostConfig"]["PortBindings"]
    listening = mailbox.check_output("ss -Hltn")
    open_ports = {int(port) for port in re.findall(r":(\d+)\s+\S+\s*$", listening, re.MULTILINE)}
    assert not open_ports & {*PORTS.values(), *WEB_PORTS}, listening


def test_settings_and_mail_live_on_named_mounts(stalwart: dict[str, Any], sidecar: dict[str, Any]) -> None:
    mounts = {mount["Destination"]: mount for mount in stalwart["Mounts"]}
    assert mounts["/etc/stalwart/config.json"]["Source"] == f"{DIRECTORY}/config/config.json"
    assert mounts["/var/lib/stalwart"]["Type"] == "volume"
    for container in (stalwart, sidecar):
        anonymous = [m["Destination"] for m in container["Mounts"] if re.fullmatch(r"[0-9a-f]{64}", m.get("Name", ""))]
        assert not anonymous, f"anonymous volumes are orphaned at every recreate: {anonymous}"


def test_the_network_has_the_ipv6_prefix(mailbox: Host, environment: Environment, sidecar: dict[str, Any]) -> None:
    (name,) = sidecar["NetworkSettings"]["Networks"]
    network = json.loads(mailbox.check_output("docker network inspect %s", name))[0]
    assert network["EnableIPv6"] is True
    assert str(environment.mailbox_ula) in [config["Subnet"] for config in network["IPAM"]["Config"]]


def test_exactly_the_declared_services_listen_inside_the_namespace(
    namespace: Namespace, environment: Environment
) -> None:
    code, output = namespace.run("ss -Hltn")
    assert code == 0, output
    open_ports = {int(port) for port in re.findall(r":(\d+)\s+\S+\s*$", output, re.MULTILINE)}
    declared = {**public(environment), **tailnet(environment)}.values()
    assert open_ports & {*PORTS.values(), *WEB_PORTS} == {*declared, *WEB_PORTS}, output


def test_http_answers_without_a_proxy_header(mailbox: Host) -> None:
    result = mailbox.run("docker exec stalwart curl -fsS -m 10 http://127.0.0.1:8080/healthz/live")
    avoided(3, result.rc == 0, result.stderr)


def test_the_recovery_login_is_closed(stalwart: dict[str, Any]) -> None:
    names = [variable.split("=", 1)[0] for variable in stalwart["Config"]["Env"]]
    # Compose keeps an emptied variable; the server takes an empty one for none.
    values = [v for v in stalwart["Config"]["Env"] if v.startswith("STALWART_RECOVERY_") and not v.endswith("=")]
    avoided(17, not values, f"{[n for n in names if n.startswith('STALWART_RECOVERY_')]} is set: a back door")


def test_stores_answer_from_inside_the_namespace(environment: Environment, namespace: Namespace) -> None:
    endpoints = []
    if environment.stalwart_store == "postgres":
        endpoints.append((str(environment.stalwart_db_host), environment.stalwart_db_port))
    redis = environment.redis_url.get_secret_value() if environment.redis_url else None
    for url in (redis, environment.s3_endpoint):
        if url:
            parts = urlsplit(url)
            endpoints.append((str(parts.hostname), int(parts.port or 0)))
    for name, port in endpoints:
        open_, seen = namespace.connects(name, port)
        avoided(1, open_, f"{name}:{port} does not answer from inside the namespace: {seen}")


def test_the_smarthost_answers_from_inside_the_namespace(environment: Environment, namespace: Namespace) -> None:
    if environment.smarthost_address is None:
        pytest.skip("no smarthost: SMARTHOST_ADDRESS is not set")
    address, port = str(environment.smarthost_address), environment.smarthost_port
    open_, seen = namespace.connects(address, port)
    avoided(11, open_, f"{address}:{port} does not answer from inside the namespace: {seen}")


def test_the_namespace_has_ipv6_egress(environment: Environment, namespace: Namespace) -> None:
    address, port = environment.probe_ipv6.rsplit(":", 1)
    open_, seen = namespace.connects(address.strip("[]"), int(port))
    avoided(9, open_, f"PROBE_IPV6={environment.probe_ipv6} cannot be reached from inside the namespace: {seen}")


def test_the_log_has_no_store_errors(mailbox: Host) -> None:
    started = inspect(mailbox, "stalwart")["State"]["StartedAt"]
    log = mailbox.run("docker logs --since %s stalwart", started)
    found = [line for line in (log.stdout + log.stderr).splitlines() if re.search(r"\(store\.\S*error\)", line)]
    avoided(1, not found, "\n".join(found[:3]))


def test_the_sidecar_is_known_by_its_name(mailbox: Host, environment: Environment) -> None:
    status = json.loads(mailbox.check_output("docker exec ts-stalwart tailscale status --json --peers=false"))
    name = status["Self"]["DNSName"].rstrip(".")
    seen = f"it is called {name}: another node holds the name; remove that one, then restart the sidecar"
    avoided(6, name == environment.magic_host, seen)


def test_rendered_files_hold_names_not_tailnet_addresses(mailbox: Host, environment: Environment) -> None:
    pattern = r"\b100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.[0-9]+\.[0-9]+\b|fd7a:115c:a1e0:[0-9a-f:]+"
    found = mailbox.run("grep -rEHn %s %s/compose.yaml %s/config", pattern, DIRECTORY, DIRECTORY).stdout
    avoided(6, not found, found)
