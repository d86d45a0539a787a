"""What `docker inspect` and `tailscale status` say of an installation made by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tailwart.adoption.looking import Look

STALWART, SIDECAR = "b" * 64, "a" * 64
STATUS = {
    "Self": {"DNSName": "stalwart.tail1234.ts.net.", "Tags": ["tag:stalwart"]},
    "Peer": {"k": {"DNSName": "db.tail1234.ts.net.", "TailscaleIPs": ["100.64.0.9", "fd7a:115c:a1e0::9"]}},
}


def container(identifier: str, name: str, image: str, **more: Any) -> dict[str, Any]:
    """One entry of `docker inspect`: ``env``, ``mounts`` (source, target, volume), ``network``, ``ports``."""
    return {
        "Id": identifier,
        "Name": f"/{name}",
        "State": {"Running": more.get("running", True)},
        "Config": {
            "Image": image,
            "Env": [f"{key}={value}" for key, value in more.get("env", {}).items()],
            "Labels": {
                "com.docker.compose.project": more.get("project", "mail"),
                "com.docker.compose.service": name,
                "com.docker.compose.project.working_dir": more.get("directory", "/srv/mail"),
                "com.docker.compose.project.config_files": "/srv/mail/compose.yaml",
            },
        },
        "HostConfig": {
            "NetworkMode": more.get("network", "mail_default"),
            "RestartPolicy": {"Name": more.get("restart", "unless-stopped"), "MaximumRetryCount": 0},
            "PortBindings": {f"{port}/tcp": [{"HostPort": str(port)}] for port in more.get("ports", ())},
            "AutoRemove": more.get("vanishes", False),
        },
        "Mounts": [
            {"Type": "volume" if volume else "bind", "Name": volume, "Source": source, "Destination": target}
            for source, target, volume in more.get("mounts", ())
        ],
    }


def volume(name: str, target: str) -> tuple[str, str, str]:
    """A named volume."""
    return (f"/var/lib/docker/volumes/{name}/_data", target, name)


def stalwart(**more: Any) -> dict[str, Any]:
    """The server, behind its sidecar."""
    mounts = [volume("mail_data", "/var/lib/stalwart"), volume("mail_etc", "/etc/stalwart")]
    return container(
        STALWART,
        "mailserver",
        more.pop("image", "stalwartlabs/stalwart:v0.16.7"),
        **{"network": f"container:{SIDECAR}", "mounts": mounts, "restart": "always", **more},
    )


def sidecar(**more: Any) -> dict[str, Any]:
    """Its sidecar."""
    mounts = [volume("mail_vpn", "/var/lib/tailscale")]
    return container(
        SIDECAR,
        "vpn",
        more.pop("image", "tailscale/tailscale:v1.98.0"),
        **{"mounts": mounts, "env": {"TS_STATE_DIR": "/var/lib/tailscale"}, **more},
    )


def look(*entries: Mapping[str, Any], config: Mapping[str, Any] | None = None, **more: Any) -> Look:
    """What a mailbox host says."""
    return Look(
        {
            "containers": json.dumps(entries),
            "networks": json.dumps(more.get("networks", [])),
            "units": more.get("units", ""),
            "listeners": more.get("listeners", ""),
            "processes": more.get("processes", ""),
            "addresses": more.get("addresses", ""),
            "caddyfile": more.get("caddyfile", ""),
        },
        {
            "config": {STALWART: json.dumps(config or {"@type": "RocksDb", "path": "/var/lib/stalwart/db"})},
            "node": {SIDECAR: json.dumps(more.get("status", STATUS))},
            "owner": {STALWART: "2000\n2000\n"},
            "version": {STALWART: more.get("version", "Stalwart 0.16.7")},
        },
    )
