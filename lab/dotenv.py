"""The `.env` of the lab: the same file a real installation has, with the lab's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import etc_lab, issuer, paths, topology
from lab.tailnet import LOGIN_SERVER
from lab.topology import BACKENDS, CONTROL, MAILBOX, TAILNET, Host


def path() -> Path:
    return paths.state() / ".env"


def write(
    secrets: Mapping[str, str], keys: Mapping[str, str], images: Mapping[str, str], edges: Sequence[Host]
) -> bool:
    """Write the file (0600); True when it changed. ``keys`` is the keyring, ``images`` the lab's registry's."""
    return paths.write_private(path(), render(secrets, keys, images, edges).encode())


def render(
    secrets: Mapping[str, str], keys: Mapping[str, str], images: Mapping[str, str], edges: Sequence[Host]
) -> str:
    values = {
        "DOMAIN": topology.DOMAIN,
        "STALWART_ADMIN_PASSWORD": secrets["STALWART_ADMIN_PASSWORD"],
        "ACCOUNTS": "alice,bob",
        "ACCOUNT_ALICE_PASSWORD": secrets["ACCOUNT_ALICE_PASSWORD"],
        "ACCOUNT_ALICE_ALIASES": "postmaster,abuse",
        "ACCOUNT_BOB_PASSWORD": secrets["ACCOUNT_BOB_PASSWORD"],
        "MAILBOX_SSH": ssh(MAILBOX),
        "BACKENDS_SSH": ssh(BACKENDS),
        "EDGES": ",".join(edge.name for edge in edges),
    }
    for edge in edges:
        prefix = edge.name.upper().replace("-", "_")
        values[f"{prefix}_SSH"] = ssh(edge)
        values |= {f"{prefix}_IP{family.upper()}": text for family, text in etc_lab.addresses(edge).items()}
    values |= {
        "SSH_KEY": str(etc_lab.ssh_key()),
        "SSH_KNOWN_HOSTS": str(etc_lab.known_hosts()),
        "TS_TAILNET": TAILNET,
        "TS_API_URL": f"http://127.0.0.1:{topology.published(8201)}",
        "TS_OAUTH_CLIENT_ID": secrets["TS_OAUTH_CLIENT_ID"],
        "TS_OAUTH_CLIENT_SECRET": secrets["TS_OAUTH_CLIENT_SECRET"],
        "TS_LOGIN_SERVER": LOGIN_SERVER,
        # The owner of the lab's tailnet; headscale has no autogroup:admin.
        "TAG_OWNERS": "owner@",
        "BACKENDS_INSTALL": "postgres,redis,garage",
        "STALWART_STORE": "postgres",
        "STALWART_DB_HOST": f"{BACKENDS.name}.{TAILNET}",
        "STALWART_DB_PASSWORD": secrets["STALWART_DB_PASSWORD"],
        "REDIS_URL": f"redis://:{secrets['REDIS_PASSWORD']}@{BACKENDS.name}.{TAILNET}:6379/3",
        "S3_ENDPOINT": f"http://{BACKENDS.name}.{TAILNET}:3900",
        "S3_REGION": secrets["S3_REGION"],
        "S3_BUCKET": secrets["S3_BUCKET"],
        "S3_ACCESS_KEY": secrets["S3_ACCESS_KEY"],
        "S3_SECRET_KEY": secrets["S3_SECRET_KEY"],
        "SMARTHOST_ADDRESS": keys["relay_address"],
        "SMARTHOST_PORT": "587",
        "SMARTHOST_USERNAME": secrets["SMARTHOST_USERNAME"],
        "SMARTHOST_PASSWORD": secrets["SMARTHOST_PASSWORD"],
        # The relay's certificate names relay.lab.test, the route an address.
        "SMARTHOST_ALLOW_INVALID_CERTS": "true",
        "SMARTHOST_SPF": f"ip4:{topology.RELAY.ipv4}",
        "DNS_PROVIDER": "spaceship",
        "SPACESHIP_API_URL": f"http://127.0.0.1:{topology.published(8202)}/api/v1",
        "SPACESHIP_API_KEY": secrets["SPACESHIP_API_KEY"],
        "SPACESHIP_API_SECRET": secrets["SPACESHIP_API_SECRET"],
        "RFC2136_SERVER": CONTROL.ipv4,
        "RFC2136_PORT": "53",
        "RFC2136_KEY_NAME": secrets["TSIG_NAME"].rstrip("."),
        "RFC2136_KEY": secrets["TSIG_SECRET"],
        "RFC2136_ALGORITHM": secrets["TSIG_ALGORITHM"],
        "DNS_NAMESERVERS": f"127.0.0.1:{topology.published(53)}",
        "ACME_DIRECTORY": "https://acme.lab.test:14000/dir",
        # Stalwart's own Spaceship client knows one address, which is not in the lab.
        "ACME_DNS_PROVIDER": "rfc2136",
        "ACME_CA": str(issuer.roots()),
        "ACME_CONTACT": f"postmaster@{topology.DOMAIN}",
        "STALWART_IMAGE": images["stalwart"],
        "TAILSCALE_IMAGE": images["tailscale"],
        "GARAGE_IMAGE": images["garage"],
        "EDGE_BASE_IMAGE": images["slim"],
        "CADDY_DOWNLOAD_URL": "https://download.lab.test/api/download",
        "OFFLINE": "true",
        "PROBE_RECIPIENT": f"friend@{topology.OUTSIDE_DOMAIN}",
        "PROBE_IPV6": f"[{topology.WORLD.ipv6}]:25",
        "PROBE_OUTBOUND": f"{topology.WORLD.ipv4}:25,{topology.edge(1).ipv4}:465,{topology.edge(1).ipv4}:587,"
        f"{CONTROL.ipv4}:443",
    }
    if "stalwart-earlier" in images:
        # The stand-in's; a real server of that release is for the user to hand over.
        values["STALWART_IMPORTER_IMAGE"] = images["stalwart-earlier"]
    head = "# The lab's settings, written by `tailwart lab up`. Edits are overwritten.\n"
    return head + "".join(f"{name}={value}\n" for name, value in values.items())


def ssh(host: Host) -> str:
    """USER@HOST:PORT of a host, as the `.env` names it."""
    return f"root@127.0.0.1:{host.ssh_port}"
