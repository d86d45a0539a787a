"""What the lab writes down: certificates, secrets, lab.env, and a `.env` that the deploy accepts."""

from __future__ import annotations

import contextlib
import json
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from lab import containers, credentials, dotenv, etc_lab, lifecycle, paths, pki, topology
from lab.engine import Docker
from tailwart.environment import load
from tailwart.errors import TailwartError

KEYS = {"stalwart": "hskey-auth-a-b", "edge": "hskey-auth-c-d", "relay_address": "100.64.0.3"}
IMAGES = {
    "stalwart": "registry.lab.test/stalwartlabs/stalwart:v0.16.7-standin",
    "tailscale": "registry.lab.test/tailscale/tailscale:v1.102.5",
    "slim": "registry.lab.test/debian:trixie-slim",
    "garage": "registry.lab.test/dxflrs/garage:v2.5.0",
}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return paths.state()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_and_closed_to_others(state: Path) -> None:
    first = credentials.load()
    assert credentials.load() == first
    assert mode(state / "secrets.json") == 0o600
    assert len(set(first.values())) == len(first), "two secrets are equal"
    assert first["TS_OAUTH_CLIENT_SECRET"].startswith(f"tskey-client-{first['TS_OAUTH_CLIENT_ID']}-")


def test_a_secret_that_a_newer_version_needs_is_added_and_the_others_stay(state: Path) -> None:
    first = credentials.load()
    kept = {name: value for name, value in first.items() if name != "LAB_ADMIN_TOKEN"}
    (state / "secrets.json").write_text(json.dumps(kept))
    second = credentials.load()
    assert second["LAB_ADMIN_TOKEN"]
    assert {name: second[name] for name in kept} == kept


def test_the_authority_and_its_certificates_are_kept_and_reissued_for_new_names(state: Path) -> None:
    issuer = pki.authority(state)
    assert pki.authority(state).pem == issuer.pem
    assert mode(state / "ca.key") == 0o600
    assert pki.ensure_certificate(issuer, state, "control", ("control.lab.test", "198.51.100.2"))
    assert not pki.ensure_certificate(issuer, state, "control", ("control.lab.test", "198.51.100.2"))
    assert pki.ensure_certificate(issuer, state, "control", ("control.lab.test", "acme.lab.test", "198.51.100.2"))
    assert mode(state / "control.key") == 0o600


def test_another_authority_reissues_every_certificate(state: Path, tmp_path: Path) -> None:
    assert pki.ensure_certificate(pki.authority(state), state, "a", ("a.lab.test",))
    assert pki.ensure_certificate(pki.authority(tmp_path), state, "a", ("a.lab.test",))


def test_openssl_accepts_the_chain_in_strict_mode(state: Path) -> None:
    issuer = pki.authority(state)
    pki.ensure_certificate(issuer, state, "control", ("control.lab.test",))
    context = ssl.create_default_context(cadata=issuer.pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(state / "control.crt", state / "control.key")
    c_in, c_out, s_in, s_out = (ssl.MemoryBIO() for _ in range(4))
    client_side = context.wrap_bio(c_in, c_out, server_hostname="control.lab.test")
    server_side = server.wrap_bio(s_in, s_out, server_side=True)
    for _ in range(4):
        for side in (client_side, server_side):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            s_in.write(c_out.read())
            c_in.write(s_out.read())
    assert client_side.version() is not None


def test_the_certificate_of_control_carries_every_name_it_serves(state: Path) -> None:
    etc_lab.prepare(topology.hosts(1))
    certificate = x509.load_pem_x509_certificate((etc_lab.directory(topology.CONTROL) / "control.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns = set(names.get_values_for_type(x509.DNSName))
    assert {"headscale.lab.test", "registry.lab.test", "download.lab.test", "control.lab.test"} <= dns
    addresses = {str(each) for each in names.get_values_for_type(x509.IPAddress)}
    assert {"198.51.100.2", "10.77.0.2", "127.0.0.1", "2001:db8:100::2"} <= addresses


def test_a_bare_host_gets_no_secret_of_the_lab_and_the_others_only_their_own(state: Path) -> None:
    etc_lab.prepare(topology.hosts(1))
    secrets = credentials.load()
    hidden = {name for name in secrets if any(word in name for word in ("SECRET", "PASSWORD", "TOKEN", "API_KEY"))}
    for host in topology.hosts(1):
        text = (etc_lab.directory(host) / "lab.env").read_text()
        known = {name for name in hidden if secrets[name] in text}
        assert not any("STALWART" in name or "ACCOUNT" in name for name in known), host.name
        if host.image in {"host", "node", "world"}:
            assert known == set(), host.name
    relay = (etc_lab.directory(topology.RELAY) / "lab.env").read_text()
    assert secrets["SMARTHOST_PASSWORD"] in relay
    assert secrets["S3_SECRET_KEY"] not in relay


def test_lab_env_is_one_plain_assignment_a_line() -> None:
    for host in topology.hosts(2):
        for line in etc_lab.variables(host, credentials.load()).splitlines():
            name, separator, value = line.partition("=")
            assert separator, line
            assert name.isidentifier(), line
            assert not set(value) & set(" '\"$`\\#;&|<>()"), f"sh and systemd would read {name} differently"


def test_a_second_preparation_changes_nothing(state: Path) -> None:
    etc_lab.prepare(topology.hosts(2))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in state.rglob("*") if path.is_file()}
    etc_lab.prepare(topology.hosts(2))
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in state.rglob("*") if path.is_file()} == before
    for path in before:
        assert mode(path) == (0o644 if path.suffix in {".crt", ".pub"} else 0o600), path


@pytest.mark.parametrize("edges", [1, 2])
def test_the_deploy_accepts_the_env_of_the_lab_without_a_warning(state: Path, edges: int) -> None:
    members = topology.hosts(edges)
    etc_lab.prepare(members)
    paths.write_private(etc_lab.known_hosts(), b"")
    shown = [host for host in members if host.name.startswith("edge-")]
    assert dotenv.write(credentials.load(), KEYS, IMAGES, shown)
    assert not dotenv.write(credentials.load(), KEYS, IMAGES, shown)
    assert mode(dotenv.path()) == 0o600
    loaded = load(dotenv.path())
    assert loaded.warnings == ()
    assert [edge.name for edge in loaded.environment.edges] == [host.name for host in shown]
    assert loaded.environment.mailbox_ssh is not None
    assert loaded.environment.mailbox_ssh.port == topology.MAILBOX.ssh_port


def test_a_private_file_is_private_from_its_first_byte(state: Path) -> None:
    target = state / "x"
    assert paths.write_private(target, b"1")
    assert not paths.write_private(target, b"1")
    target.chmod(0o644)
    assert paths.write_private(target, b"1"), "a file that others can read is closed again"
    assert mode(target) == 0o600
    assert mode(state) == 0o700


def test_relative_xdg_directories_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.cache() == tmp_path / ".cache" / "tailwart"


def test_an_edge_with_one_family_has_one_in_lab_env_and_status(state: Path) -> None:
    members = topology.hosts(2)
    etc_lab.prepare(members)
    paths.write_private(etc_lab.known_hosts(), b"")
    first, second = topology.edge(1), topology.edge(2)
    etc_lab.choose_family(first, "v4")
    etc_lab.choose_family(second, "v6")
    dotenv.write(credentials.load(), KEYS, IMAGES, [first, second])
    loaded = load(dotenv.path())
    assert loaded.warnings == ()
    shown = [(str(edge.ipv4 or ""), str(edge.ipv6 or "")) for edge in loaded.environment.edges]
    assert shown == [("198.51.100.11", ""), ("", "2001:db8:100::12")]
    etc_lab.choose_family(first, "")
    assert etc_lab.addresses(first) == {"v4": first.ipv4, "v6": first.ipv6}


def test_a_host_is_replaced_when_its_family_changes(state: Path) -> None:
    edge = topology.edge(1)
    before = containers.spec(Docker("", ()), edge, "image")
    etc_lab.choose_family(edge, "v6")
    assert containers.spec(Docker("", ()), edge, "image") != before


@pytest.mark.parametrize("family", [("mailbox", "v4"), ("edge-1", "v5"), ("edge-1", "")])
def test_a_family_that_no_edge_can_have_is_refused_before_anything_starts(state: Path, family: tuple[str, str]) -> None:
    with pytest.raises(TailwartError, match="--family"):
        lifecycle.up(1, dict([family]))
