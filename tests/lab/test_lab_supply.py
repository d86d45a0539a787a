"""What hosts are made of, pinned: images by digest, and one Caddy for all edges."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lab import topology
from tests.lab.deploying import deploy, environment_of, said, variant
from tests.lab.mailbox import containers, started


def test_locked_images_run_by_digest(deployed: Path, tmp_path: Path) -> None:
    registry = f"http://127.0.0.1:{topology.published(topology.REGISTRY_PORT)}"
    path = variant(deployed, tmp_path / "env", REGISTRY_URL=registry)
    said(path, "images", "lock")
    said(path, "images", "lock", "--check")
    locked = json.loads((tmp_path / "images.lock").read_text())["images"]
    environment = environment_of(deployed)
    ours = {environment.stalwart_image, environment.tailscale_image, environment.edge_base_image}
    assert set(locked) == ours | {environment.garage_image}
    deploy(path, "--limit", "mailbox")
    for name, image in (("stalwart", environment.stalwart_image), ("ts-stalwart", environment.tailscale_image)):
        assert containers()[name]["Config"]["Image"] == f"{image}@{locked[image]}"
    assert deploy(path, "--limit", "mailbox").changes == {}
    deploy(deployed, "--limit", "mailbox")


@pytest.mark.leaves_deployed
def test_another_caddy_than_the_trusted_one_is_refused_and_the_edge_serves_on(deployed: Path, tmp_path: Path) -> None:
    before = started("edge-1")
    path = variant(deployed, tmp_path / "env", CADDY_PLUGINS="github.com/caddyserver/certmagic")
    kind = "x86_64 github.com/mholt/caddy-l4@v0.1.2 github.com/caddyserver/certmagic"
    known = {"sha256": "0" * 64, "version": "v2.0.0"}
    machine = os.uname().machine
    document = {"images": {}, "caddy": {kind.replace("x86_64", machine): known}}
    (tmp_path / "images.lock").write_text(json.dumps(document))
    run = deploy(path, "--limit", "edge", expect=1)
    assert "not the one that this installation trusts" in run.last_lines
    assert "CADDY_SHA256=" in run.last_lines
    assert started("edge-1") == before
    deploy(deployed, "--limit", "edge")
