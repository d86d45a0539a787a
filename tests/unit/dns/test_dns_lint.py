"""`tailwart dns lint`: what can be found without asking anybody."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tailwart.cli.dns import dns
from tests.unit.dns.recorded import PLAIN, ZONE

Lint = Callable[..., Result]


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lint:
    """The command with such group data, on a machine without any network."""
    path = tmp_path / ".env"
    path.write_text(
        f"DOMAIN={ZONE}\nTS_TAILNET=tailnet.test\nEDGES=edge-1\nEDGE_1_SSH=root@192.0.2.1\n"
        "EDGE_1_IPV4=198.51.100.11\nSMARTHOST_ADDRESS=198.51.100.25\n"
        "DNS_PROVIDER=desec\nDESEC_TOKEN=token-of-the-tests\nDNS_TTL=3600\n"
    )
    path.chmod(0o600)
    (tmp_path / "group_data").mkdir()
    (tmp_path / "server.zone").write_text(PLAIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAILWART_ENV", str(path))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network is used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    def run(*words: str, **data: Any) -> Result:
        (tmp_path / "group_data/dns.py").write_text(
            "".join(f"dns_{name} = {value!r}\n" for name, value in data.items())
        )
        return CliRunner().invoke(dns, ["lint", *words])

    return run


def wrong(result: Result) -> list[dict[str, Any]]:
    return [finding for finding in json.loads(result.stdout)["findings"] if finding["state"] == "wrong"]


def test_a_zone_without_mistakes_is_fine_with_and_without_the_servers_text(lint: Lint) -> None:
    for words in ((), ("--text", "server.zone")):
        result = lint(*words)
        assert result.exit_code == 0, result.output
        assert "nothing to correct" in result.output


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"records": {"_dmarc TXT": "v=DMARC1; p=strict; rua=mailto:x@example.org"}}, "p=strict is no policy"),
        ({"records": {"_dmarc TXT": "v=DMARC1; p=none; rua=x@example.org"}}, "is no report address"),
        ({"records": {"@ MX": "10 mx.example.org.", "mx CNAME": "mail.example.org."}}, "which is a CNAME"),
        ({"records": {"@ MX": "10 192.0.2.1."}}, "leads to an address"),
        ({"records": {"@ TXT": ["v=spf1 mx -all", "v=spf1 a -all"]}}, "SPF records"),
        ({"records": {"@ TXT": "v=spf1 ipv4:192.0.2.1 -all"}}, "RFC 7208"),
        ({"records": {"web CNAME": "mail.example.org.", "web A": "192.0.2.1"}}, "CNAME beside other data"),
        ({"records": {"@ CAA": '128 isue "ca.example"'}}, "the tag isue is not known"),
        ({"records": {"web A": "192.0.2.1"}, "exclude": ["web *"]}, "is excluded by"),
        ({"spf": [f"a:h{number}.example.net" for number in range(11)]}, "look-ups"),
    ],
)
def test_a_mistake_is_named_and_fails(lint: Lint, data: dict[str, Any], expected: str) -> None:
    result = lint("--json", "--text", "server.zone", **data)
    found = [finding for finding in wrong(result) if expected in f"{finding['subject']} {finding['detail']}"]
    assert found, result.output
    assert all(finding["remedy"] for finding in found)
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"records": {"www.example.com. A": "192.0.2.1"}}, "none of your zones"),
        ({"dmarc": {"example.net": "none"}}, "no mail domain of yours"),
        ({"spf": ["include:a.example"], "spf_remove": ["include:a.example"]}, "dns_spf_remove as well"),
        ({"dmarc": "none", "records": {"_dmarc TXT": "v=DMARC1; p=none; rua=mailto:a@example.org"}}, "no effect"),
    ],
)
def test_a_doubtful_line_is_named_and_fails_nothing(lint: Lint, data: dict[str, Any], expected: str) -> None:
    result = lint("--json", **data)
    assert any(expected in finding["detail"] for finding in wrong(result)), result.output
    assert result.exit_code == 0


def test_a_variable_that_does_not_exist_is_an_error_with_the_nearest(lint: Lint) -> None:
    result = lint(exclud=["a *"])
    assert result.exit_code == 1
    assert "dns_exclude" in str(result.exception)
