"""The edge's image, built by the classic builder of the lab's own engine; hosts of the lab build it with BuildKit."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import hosts, programs
from lab.engine import Docker
from lab.images import base
from tailwart.edge.image import ImageInputs, dockerfile, fetch_script
from tests.templates.edge.downloads import DownloadService, binary

TAG = "tailwart-test/edge-classic"


@pytest.fixture
def engine(lab_environment: Path) -> Iterator[Docker]:
    docker = hosts.running_engine()
    yield docker
    docker.run("image", "rm", "--force", TAG, check=False)


def context(inputs: ImageInputs) -> bytes:
    """The build context as the role sends it: a tar archive of two files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in (("Dockerfile", dockerfile(inputs)), ("fetch-caddy.sh", fetch_script())):
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


def test_the_classic_builder_builds_it_and_caddy_runs_in_it(engine: Docker) -> None:
    programs.ensure([programs.CADDY])
    with DownloadService([binary(programs.binary("caddy").read_bytes())]).running() as service:
        built = engine.run(
            "build", "--network", "host", "--no-cache", "--tag", TAG, "-",
            stdin=context(ImageInputs(base.ensure(engine).slim, service.url)), timeout=300,
        )  # fmt: skip
    assert b"Step 1/" in built.stdout, "the classic builder"
    run = ("run", "--rm", "--network", "none")
    modules = engine.run(*run, "--entrypoint", "/usr/bin/caddy", TAG, "list-modules").stdout.decode().split()
    assert "layer4.handlers.proxy_protocol" in modules
    digest = engine.run(*run, "--entrypoint", "cat", TAG, "/usr/bin/caddy.sha256").stdout.decode().strip()
    assert engine.run(*run, "--entrypoint", "sha256sum", TAG, "/usr/bin/caddy").stdout.decode().split()[0] == digest
    # As compose.yaml starts it: root only long enough to become nobody with one capability.
    capabilities = [
        flag for name in ("NET_BIND_SERVICE", "SETUID", "SETGID", "SETPCAP") for flag in ("--cap-add", name)
    ]
    entrypoint = engine.inspect("image", TAG)[0]["Config"]["Entrypoint"]
    words = [*entrypoint[1:-1], "grep", "-E", "^(Uid|CapEff|CapBnd|NoNewPrivs)", "/proc/self/status"]
    status = engine.run(*run, "--cap-drop", "ALL", *capabilities, "--entrypoint", entrypoint[0], TAG, *words)
    lines = dict(line.split(":\t", 1) for line in status.stdout.decode().splitlines())
    assert lines == {
        "Uid": "65532\t65532\t65532\t65532",
        "CapEff": "0000000000000400",
        "CapBnd": "0000000000000400",
        "NoNewPrivs": "1",
    }
