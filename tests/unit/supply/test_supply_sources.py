"""Registries, versions and advisories, served on loopback: what is asked, and what is made of the answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lab.control.server import running
from tailwart.cli import cli
from tailwart.environment import load
from tailwart.environment import lock as locking
from tailwart.errors import TailwartError
from tailwart.supply.registry import Image, Registry
from tests.unit.environment.test_environment_load import write

MANIFEST = b'{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()


@dataclass
class Services:
    """All of them at one address. ``answers``: path → body, or (status, body, headers)."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"] + (f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else "")
        self.asked.append(f"{path} {environ.get('HTTP_AUTHORIZATION', '')}".strip())
        answer = self.answers.get(
            f"{path} {environ.get('HTTP_AUTHORIZATION', '')}".strip(), self.answers.get(path, 404)
        )
        status, body, headers = answer if isinstance(answer, tuple) else (200, answer, {})
        if answer == 404:
            status, body = 404, b""
        start_response(f"{status} X", list(headers.items()))
        return [body if isinstance(body, bytes) else json.dumps(body).encode()]


@contextmanager
def serving(**answers: Any) -> Iterator[Services]:
    services = Services(answers)
    with running(services) as url:
        services.url = url
        yield services


@pytest.mark.parametrize(
    ("reference", "image"),
    [
        ("debian:trixie-slim", Image("registry-1.docker.io", "library/debian", "trixie-slim")),
        (
            "stalwartlabs/stalwart:v0.16.7@sha256:" + "a" * 64,
            Image("registry-1.docker.io", "stalwartlabs/stalwart", "v0.16.7"),
        ),
        ("docker.io/library/debian:12", Image("registry-1.docker.io", "library/debian", "12")),
        ("ghcr.io/owner/name:1", Image("ghcr.io", "owner/name", "1")),
        ("registry.lab.test/tailscale/tailscale:v1", Image("registry.lab.test", "tailscale/tailscale", "v1")),
        ("localhost:5000/x:1", Image("localhost:5000", "x", "1")),
    ],
)
def test_a_reference_is_taken_apart_as_docker_does(reference: str, image: Image) -> None:
    assert Image.parse(reference) == image


def test_a_digest_is_that_of_the_manifest_after_the_token_that_a_registry_asks_for() -> None:
    with serving() as services:
        challenge = f'Bearer realm="{services.url}/token",service="reg",scope="repository:library/debian:pull"'
        path = "/v2/library/debian/manifests/trixie-slim"
        services.answers = {
            path: (401, b"{}", {"WWW-Authenticate": challenge}),
            "/token?service=reg&scope=repository%3Alibrary%2Fdebian%3Apull": {"token": "t0ken"},
            f"{path} Bearer t0ken": (200, MANIFEST, {"Docker-Content-Digest": DIGEST}),
        }
        assert Registry(services.url).digest("debian:trixie-slim") == DIGEST


def test_an_answer_that_is_not_what_the_registry_announces_is_refused() -> None:
    with serving() as services:
        other = {"Docker-Content-Digest": f"sha256:{'0' * 64}"}
        services.answers = {"/v2/library/debian/manifests/trixie-slim": (200, MANIFEST, other)}
        with pytest.raises(TailwartError, match="not what it announces"):
            Registry(services.url).digest("debian:trixie-slim")


def test_a_challenge_that_leads_out_of_tls_is_not_followed() -> None:
    with serving() as services:
        challenge = 'Bearer realm="http://elsewhere.example/token",service="reg"'
        services.answers = {"/v2/library/debian/manifests/trixie-slim": (401, b"", {"WWW-Authenticate": challenge})}
        with pytest.raises(TailwartError, match="HTTP 401") as caught:
            Registry(services.url).digest("debian:trixie-slim")
        assert "REGISTRY_URL" in caught.value.remedy


def test_tags_come_in_pages() -> None:
    with serving() as services:
        services.answers = {
            "/v2/a/b/tags/list?n=1000": (200, {"tags": ["v1.0.0"]}, {"Link": '</v2/a/b/tags/list?last=x>; rel="next"'}),
            "/v2/a/b/tags/list?last=x": {"tags": ["v1.1.0"]},
        }
        assert Registry(services.url).tags("a/b:v1.0.0") == ["v1.0.0", "v1.1.0"]


def environment(tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write(tmp_path, REGISTRY_URL=services.url, GITHUB_API_URL=services.url)
    monkeypatch.setenv("TAILWART_ENV", str(path))
    return path


def test_images_are_locked_once_and_checked_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as services:
        path = environment(tmp_path, services, monkeypatch)
        env = load(path).environment
        for image in (env.stalwart_image, env.tailscale_image, env.edge_base_image):
            one = Image.parse(image)
            services.answers[f"/v2/{one.repository}/manifests/{one.tag}"] = MANIFEST
        run = CliRunner()
        assert run.invoke(cli, ["images", "lock", "--check"]).exit_code == 1
        assert not locking.beside(path).exists()
        assert run.invoke(cli, ["images", "lock"]).exit_code == 0
        assert set(locking.read(locking.beside(path)).images.values()) == {DIGEST}
        assert load(path).environment.edge_base_image == f"{env.edge_base_image}@{DIGEST}"
        assert run.invoke(cli, ["images", "lock", "--check"]).exit_code == 0
        # The tag moves.
        one = Image.parse(env.edge_base_image)
        services.answers[f"/v2/{one.repository}/manifests/{one.tag}"] = MANIFEST + b" "
        moved = run.invoke(cli, ["images", "lock", "--check"])
        assert moved.exit_code == 1
        assert "was sha256:" in moved.output


def test_outdated_names_security_fixes_first_and_says_what_it_could_not_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as services:
        path = environment(tmp_path, services, monkeypatch)
        kind = "x86_64 github.com/mholt/caddy-l4@v0.1.2"
        locking.trust(locking.beside(path), kind, locking.Binary("1" * 64, "v2.11.2"))
        flaw = {"vulnerable_version_range": "< 2.11.3", "patched_versions": "2.11.3"}
        services.answers = {
            "/v2/stalwartlabs/stalwart/tags/list?n=1000": {"tags": ["v0.16.999", "v0.17.0", "latest"]},
            "/repos/caddyserver/caddy/tags?per_page=100": [
                {"name": name} for name in ("v2.12.0-beta.1", "v2.11.9", "v2.11.2")
            ],
            "/repos/mholt/caddy-l4/tags?per_page=100": [{"name": "v0.1.2"}],
            "/repos/caddyserver/caddy/security-advisories?state=published&per_page=100": [
                {
                    "ghsa_id": "GHSA-x",
                    "severity": "high",
                    "summary": "Smuggled \x1b[2J request",
                    "vulnerabilities": [flaw],
                }
            ],
            "/repos/stalwartlabs/stalwart/security-advisories?state=published&per_page=100": [],
        }
        result = CliRunner().invoke(cli, ["outdated"])
        assert result.exit_code == 1, "there is a security fix"
        lines = result.output.splitlines()
        assert lines[0].split()[:4] == ["caddy", "v2.11.2", "→", "v2.11.9"]
        assert "security, high: Smuggled" in lines[1]
        assert "\x1b" not in result.output
        assert any(line.startswith("stalwart") and "v0.16.999" in line and "STALWART_IMAGE" in line for line in lines)
        assert any(line.startswith("tailscale") and "not known" in line for line in lines)
        assert any(line.startswith("debian:trixie-slim") and "tailwart images lock" in line for line in lines)
        document = json.loads(CliRunner().invoke(cli, ["outdated", "--json"]).output)
        assert document[0]["advisories"][0]["fixed"] == "v2.11.3"


def test_services_that_say_nothing_usable_are_no_all_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as services:
        environment(tmp_path, services, monkeypatch)
        services.answers = {
            "/v2/stalwartlabs/stalwart/tags/list?n=1000": {"tags": ["v0.16.18"]},
            "/repos/stalwartlabs/stalwart/security-advisories?state=published&per_page=100": b"<html>sign in</html>",
        }
        result = CliRunner().invoke(cli, ["outdated"])
    assert result.exit_code == 2, result.output
    assert "got no JSON" in result.output
