"""The versions of all programs, and where they come from."""

from __future__ import annotations

from pydantic import BaseModel

from tailwart import fields as v
from tailwart.fields import key as _key
from tailwart.releases import DEFAULT_IMAGE, IMPORTER_IMAGE, SUPPORTED


class VersionsSettings(BaseModel):
    """The versions of all programs, and where they come from."""

    stalwart_image: v.StalwartImage = _key("Versions", f"Stalwart {SUPPORTED.name}.", DEFAULT_IMAGE, DEFAULT_IMAGE)
    stalwart_importer_image: v.StalwartImage = _key(
        "Versions",
        "The release that imports, when `tailwart store move` moves the data store (docs/backends.md).",
        IMPORTER_IMAGE,
        IMPORTER_IMAGE,
    )
    tailscale_image: v.Image = _key(
        "Versions", "The sidecar.", "tailscale/tailscale:v1.102.5", "tailscale/tailscale:v1.102.5"
    )
    garage_image: v.Image = _key(
        "Versions", "Garage, where BACKENDS_INSTALL names it.", "dxflrs/garage:v2.5.0", "dxflrs/garage:v2.5.0"
    )
    edge_base_image: v.Image = _key("Versions", "Base of the edge's image.", "debian:trixie-slim", "debian:trixie-slim")
    caddy_download_url: v.SecureUrl = _key(
        "Versions",
        "Caddy's download service, which builds Caddy with caddy-l4.",
        "https://caddyserver.com/api/download",
        "https://caddyserver.com/api/download",
    )
    caddy_plugins: v.Modules = _key("Versions", "Further Caddy modules.", "github.com/caddy-dns/spaceship", ())
    caddy_sha256: v.Sha256 | None = _key(
        "Versions",
        "Insist on this binary, or accept a new one. Empty: the first that an edge gets is trusted (images.lock).",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        None,
    )

    registry_url: v.SecureUrl | None = _key(
        "Versions",
        "Asked in place of every image registry, by `tailwart images lock` and `tailwart outdated`: a mirror.",
        "https://mirror.example.org",
        None,
    )
    github_api_url: v.SecureUrl = _key(
        "Versions",
        "Where `tailwart outdated` asks for versions of Caddy and security advisories.",
        "https://api.github.com",
        "https://api.github.com",
    )
