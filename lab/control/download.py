"""The Caddy download service, serving the lab's own build of Caddy, and the tailscale packages.

    GET /api/download?os=linux&arch=amd64&p=module[@version]…    the binary as an attachment
    GET /stable/tailscale_{version}_{arch}.tgz                   static binaries, as on pkgs.tailscale.com

The build has a fixed set of modules: a request for another fails as a failing build does at the real service. Beside
the faults of :mod:`lab.control.faults`, ``POST /lab/variant {"variant": NAME}`` (administration) chooses the answer:

    caddy                   the real build
    without-layer4          a mock that lists Caddy's standard modules only, for a check that must refuse it
    without-proxy-protocol  a mock with layer4 and its proxy handler, but no proxy_protocol handler
    truncated               the first half of the real build, with a Content-Length that matches
"""

from __future__ import annotations

import io
import json
import platform
import re
import secrets
import subprocess
import tarfile
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from lab.control.faults import Faults

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_STANDARD = ("admin.api.load", "http", "http.handlers.reverse_proxy", "tls")
_MOCKS = {
    "without-layer4": _STANDARD,
    "without-proxy-protocol": (*_STANDARD, "layer4", "layer4.handlers.proxy"),
}
_VARIANTS = ("caddy", "truncated", *_MOCKS)

#: Answers the commands that the edge's download script runs, as a Caddy with these modules would.
_MOCK = """#!/bin/sh
# A mock of a Caddy that lacks what the edge needs.
case "$1" in
list-modules) printf '%s\\n' {modules} ;;
version) echo 'v2.11.9 h1:mock' ;;
build-info) printf 'mod\\tgithub.com/caddyserver/caddy/v2\\tv2.11.9\\n' ;;
*) echo 'Error: loading config: unknown module' >&2; exit 1 ;;
esac
"""


def error_document(status: int) -> tuple[str, bytes]:
    """The service's error document for `status`, for faults. A gateway error is a page of the web server in front."""
    if status == 502:
        return "text/html", b"<html><body><h1>502 Bad Gateway</h1></body></html>"
    return "application/json", _failure(status, "unable to fulfill download request")


def create_app(caddy: Path, tailscale: Path, token: str = "") -> Faults:
    """The WSGI application with its fault layer.

    `caddy` is the built binary, `tailscale` the directory of tailscale and tailscaled, `token` opens the administration
    of faults.
    """
    app = Flask("lab.control.download")
    variant = {"served": "caddy"}

    @app.get("/api/download")
    def download() -> Response:
        system, machine = request.args.get("os", "linux"), request.args.get("arch", _architecture())
        if (system, machine) != ("linux", _architecture()):
            return _bad_request(f"unsupported platform: {system}/{machine}")
        available = _modules(caddy)
        for requested in request.args.getlist("p"):
            path, _, version = requested.partition("@")
            if path not in available or version not in {"", "latest", available[path]}:
                return _bad_request(f"building with {requested}: module not found")
        content = _content(caddy, variant["served"])
        answer = Response(content, content_type="application/octet-stream")
        answer.headers["Content-Disposition"] = f'attachment; filename="caddy_{system}_{machine}_custom"'
        return answer

    @app.get("/stable/tailscale_<version>_<arch>.tgz")
    def package(version: str, arch: str) -> Response:
        if arch != _architecture() or version != _tailscale_version(tailscale):
            return Response("404 page not found\n", 404, content_type="text/plain")
        return Response(_tarball(tailscale, f"tailscale_{version}_{arch}"), content_type="application/gzip")

    @app.post("/lab/variant")
    def choose() -> Response:
        document = request.get_json(force=True)
        chosen = document.get("variant") if isinstance(document, dict) else None
        if chosen not in _VARIANTS:
            return Response(f"variant must be one of {', '.join(_VARIANTS)}\n", 400)
        variant["served"] = chosen
        return Response(status=204)

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> Response:
        content_type, content = error_document(error.code or 500)
        return Response(content, error.code or 500, content_type=content_type)

    return Faults(app, error_document, token)


def _content(caddy: Path, variant: str) -> bytes:
    if variant in _MOCKS:
        return _MOCK.format(modules=" ".join(_MOCKS[variant])).encode()
    content = caddy.read_bytes()
    return content[: len(content) // 2] if variant == "truncated" else content


def _architecture() -> str:
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


@lru_cache
def _modules(caddy: Path) -> dict[str, str]:
    """Go modules of the binary with their versions, as it reports them itself."""
    done = subprocess.run([caddy, "build-info"], capture_output=True, text=True, check=True)
    return dict(re.findall(r"^(?:dep|mod|=>)\t(\S+)\t(\S+)", done.stdout, re.MULTILINE))


@lru_cache
def _tailscale_version(directory: Path) -> str:
    done = subprocess.run([directory / "tailscale", "version"], capture_output=True, text=True, check=True)
    return done.stdout.split("\n", 1)[0].strip()


@lru_cache(maxsize=1)
def _tarball(directory: Path, top: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name in ("tailscale", "tailscaled"):
            archive.add(directory / name, f"{top}/{name}")
    return stream.getvalue()


def _failure(status: int, message: str) -> bytes:
    return json.dumps({"status_code": status, "error": {"message": message, "id": secrets.token_hex(5)}}).encode()


def _bad_request(message: str) -> Response:
    return Response(_failure(400, message), 400, content_type="application/json")
