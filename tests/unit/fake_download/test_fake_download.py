"""The fake Caddy download service, with small programs in place of the 60 MB builds."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from lab.control.download import create_app
from lab.control.server import running

_CADDY = """#!/bin/sh
printf 'path\\ttailwart.lab/caddy\\ndep\\tgithub.com/caddyserver/caddy/v2\\tv2.11.9\\th1:x=\\n'
printf 'dep\\tgithub.com/mholt/caddy-l4\\tv0.1.2\\th1:y=\\n'
"""
_LAYER4 = "github.com/mholt/caddy-l4"


@dataclass(frozen=True)
class Service:
    url: str
    machine: str

    def download(self, *plugins: str, **query: str) -> requests.Response:
        parameters = {"os": "linux", "arch": self.machine, **query, "p": list(plugins)}
        return requests.get(f"{self.url}/api/download", params=parameters, timeout=10)

    def serve(self, variant: str) -> int:
        return requests.post(f"{self.url}/lab/variant", json={"variant": variant}, timeout=10).status_code


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    for name, script in {
        "caddy": _CADDY,
        "tailscale": "#!/bin/sh\necho 1.102.5\n",
        "tailscaled": "#!/bin/sh\n",
    }.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with running(create_app(tmp_path / "caddy", tmp_path)) as url:
        yield Service(url, "amd64")


@pytest.mark.parametrize("plugin", [_LAYER4, f"{_LAYER4}@v0.1.2", f"{_LAYER4}@latest"])
def test_the_real_binary_is_an_attachment(service: Service, plugin: str) -> None:
    answer = service.download(plugin)
    assert answer.status_code == 200
    assert answer.text == _CADDY
    assert answer.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize(
    ("plugins", "query"),
    [
        (["github.com/nobody/nothing"], {}),
        ([_LAYER4, "github.com/nobody/nothing"], {}),
        ([f"{_LAYER4}@v9.9.9"], {}),
        ([], {"arch": "s390x"}),
        ([], {"os": "plan9"}),
    ],
)
def test_a_build_that_fails_is_400_with_message_and_id(
    service: Service, plugins: list[str], query: dict[str, str]
) -> None:
    refused = service.download(*plugins, **query)
    assert refused.status_code == 400
    document = refused.json()
    assert document["status_code"] == 400
    assert set(document["error"]) == {"message", "id"}


@pytest.mark.parametrize(
    ("variant", "present", "absent"),
    [
        ("without-layer4", "http", "layer4"),
        ("without-proxy-protocol", "layer4.handlers.proxy", "layer4.handlers.proxy_protocol"),
    ],
)
def test_a_binary_that_lacks_modules_says_so(
    service: Service, tmp_path: Path, variant: str, present: str, absent: str
) -> None:
    assert service.serve(variant) == 204
    binary = tmp_path / "downloaded"
    binary.write_bytes(service.download(_LAYER4).content)
    binary.chmod(0o755)
    modules = subprocess.run([binary, "list-modules"], capture_output=True, text=True, check=True).stdout.split()
    assert present in modules
    assert absent not in modules
    assert subprocess.run([binary, "validate"], capture_output=True, check=False).returncode == 1


def test_a_truncated_binary_is_half_the_real_one(service: Service) -> None:
    service.serve("truncated")
    assert service.download().text == _CADDY[: len(_CADDY) // 2]
    service.serve("caddy")
    assert service.download().text == _CADDY


def test_an_unknown_variant_is_refused(service: Service) -> None:
    assert service.serve("broken") == 400


def test_maintenance_is_a_502_page(service: Service) -> None:
    requests.post(f"{service.url}/lab/faults", json={"kind": "status", "status": 502, "times": 1}, timeout=10)
    answer = service.download(_LAYER4)
    assert answer.status_code == 502
    assert answer.headers["Content-Type"].startswith("text/html")


def test_the_tailscale_package_holds_both_programs(service: Service) -> None:
    answer = requests.get(f"{service.url}/stable/tailscale_1.102.5_amd64.tgz", timeout=10)
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert archive.getnames() == [f"tailscale_1.102.5_amd64/{name}" for name in ("tailscale", "tailscaled")]
    assert requests.get(f"{service.url}/stable/tailscale_9.9.9_amd64.tgz", timeout=10).status_code == 404
