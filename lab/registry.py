"""The container images of the lab, pushed into the registry that control serves as registry.lab.test."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from lab import etc_lab, programs, topology
from lab.console import step
from lab.engine import Docker
from lab.images import GARAGE, TAILSCALE, Spec, build, context, stalwart
from lab.images.stalwart import Stalwart
from tailwart import releases

_MANIFESTS = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Published:
    """Local reference → name and tag in the lab's registry, by use."""

    images: Mapping[str, tuple[str, str]]
    stalwart: Stalwart

    def name(self, use: str) -> str:
        """What hosts of the lab pull."""
        return f"{topology.REGISTRY}/{self.images[use][1]}"


def build_all(docker: Docker, base_slim: str) -> Published:
    """Build the container images: the edge's base, Tailscale, Garage, and Stalwart, as a stand-in in two releases."""
    ca = etc_lab.ca_pem()
    slim = build.ensure(docker, "slim", context.of(Spec("slim"), {"ca.crt": ca}), base_slim)
    with ThreadPoolExecutor(2) as pool:
        tailscale = pool.submit(build.ensure, docker, "tailscale", context.of(TAILSCALE), slim)
        garage = pool.submit(build.ensure, docker, "garage", context.of(GARAGE), slim)
        server = stalwart.ensure(docker, slim, ca)
        images = {"stalwart": server}
        if server.is_standin:
            images["stalwart-earlier"] = stalwart.earlier(docker, slim)
        return Published(
            {
                "slim": (slim, "debian:trixie-slim"),
                "tailscale": (tailscale.result(), f"tailscale/tailscale:v{programs.TAILSCALE_VERSION}"),
                "garage": (garage.result(), f"dxflrs/garage:v{programs.GARAGE_VERSION}"),
                **{use: (each.reference, f"{releases.IMAGE}:{each.tag}") for use, each in images.items()},
            },
            server,
        )


def push_all(docker: Docker, published: Published) -> None:
    """Push what the registry does not hold yet, through control's port on 127.0.0.1."""
    absent = [each for each in published.images.values() if not _holds(docker, *each)]
    if not absent:
        return
    names = ", ".join(name for _, name in absent)
    with step(f"pushing {names} into the lab's registry"), ThreadPoolExecutor(3) as pool:
        for _ in pool.map(lambda each: _push(docker, *each), absent):
            pass


def _push(docker: Docker, reference: str, name: str) -> None:
    # Docker takes plain HTTP from a registry on loopback by itself.
    target = f"127.0.0.1:{topology.published(topology.REGISTRY_PORT)}/{name}"
    docker.run("tag", reference, target)
    docker.run("push", "--quiet", target)
    docker.run("image", "rm", target)


def _holds(docker: Docker, reference: str, name: str) -> bool:
    repository, _, tag = name.rpartition(":")
    url = f"http://127.0.0.1:{topology.published(topology.REGISTRY_PORT)}/v2/{repository}/manifests/{tag}"
    response = requests.get(url, headers={"Accept": _MANIFESTS}, timeout=10)
    if response.status_code != requests.codes.ok:
        return False
    # The classic store calls an image by its configuration's digest, the containerd store by its manifest's.
    identifiers = {response.json().get("config", {}).get("digest"), response.headers.get("Docker-Content-Digest")}
    return docker.text("image", "inspect", "--format", "{{.Id}}", reference) in identifiers
