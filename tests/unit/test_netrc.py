"""A .netrc on this machine never takes the place of a token, in any client of ours and of the DNS libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.control.server import running

# deSEC's library calls the functions of the module, the others make sessions: both meet the same server.
_PROGRAM = """
import sys
import requests
from tailwart.providers._spaceship_http import Client
from tailwart.tailnet.client import PolicyClient
from tailwart.tailnet.requesting import Credentials

url = sys.argv[1]
try:
    PolicyClient(url, Credentials(api_key="tskey-api-token")).read()
except Exception as error:
    print(error)
Client(url, "key", "secret", print).call("GET", "/records", zone="example.org")
requests.get(url + "/desec", headers={"Authorization": "Token desec"})
requests.Session().get(url + "/redirected", headers={"Authorization": "Bearer octodns"})
"""


@pytest.fixture
def seen() -> Iterator[tuple[str, dict[str, str]]]:
    """A server, and the Authorization header of each path that it was asked for."""
    asked: dict[str, str] = {}

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        asked[path] = environ.get("HTTP_AUTHORIZATION", "")
        if path == "/redirected":
            start_response("302 Found", [("Location", "/target")])
            return [b""]
        start_response("200 OK", [("Content-Type", "application/json"), ("ETag", '"x"')])
        return [json.dumps({}).encode()]

    with running(answer) as url:
        yield url, asked


@pytest.mark.parametrize("named", [True, False])
def test_a_netrc_is_not_read(seen: tuple[str, dict[str, str]], tmp_path: Path, named: bool) -> None:
    url, asked = seen
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login thief password thief\n")
    netrc.chmod(0o600)
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("NETRC", None)
    if named:
        environment["NETRC"] = str(netrc)
    subprocess.run([sys.executable, "-c", _PROGRAM, url], env=environment, check=True, timeout=60)
    assert asked == {
        "/api/v2/tailnet/-/acl": "Bearer tskey-api-token",
        "/records": "",
        "/desec": "Token desec",
        "/redirected": "Bearer octodns",
        "/target": "Bearer octodns",
    }
