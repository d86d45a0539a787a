"""``python3 -m lab.control policy|spaceship|download``: one fake API as a service. Secrets come from the environment
(lab.env), never from arguments."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.control import download, policy, spaceship
from lab.control.faults import Faults
from lab.control.server import listen

#: Items that the provider adds to the list of every domain itself: those of its products and name servers.
FOREIGN_ITEMS = (
    {"type": "CNAME", "name": "shop", "cname": "shops.lab.test", "ttl": 3600, "group": {"type": "product"}},
    {"type": "A", "name": "ns1", "address": "198.51.100.2", "ttl": 3600, "group": {"type": "personalNs"}},
)


def main(arguments: list[str]) -> None:
    """Serve one fake API until the process ends. Exits with a message when a secret is missing."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="lab.control", description=__doc__)
    apis = parser.add_subparsers(dest="api", required=True)
    for name in ("policy", "spaceship", "download"):
        api = apis.add_parser(name)
        api.add_argument("--listen", required=True, metavar="HOST:PORT")
        if name == "policy":
            api.add_argument("--headscale-url", required=True)
            api.add_argument("--headscale-key-file", required=True, type=Path)
            api.add_argument("--tailnet", default="tailnet.test")
        elif name == "spaceship":
            api.add_argument("--nameserver", required=True)
            api.add_argument("--nameserver-port", type=int, default=53)
            api.add_argument("--domain", action="append", required=True)
            api.add_argument("--state", required=True, type=Path)
            api.add_argument("--delay", type=float, default=0.3)
        else:
            api.add_argument("--caddy", required=True, type=Path)
            api.add_argument("--tailscale-dir", required=True, type=Path)
    options = parser.parse_args(arguments)
    builders = {"policy": _policy, "spaceship": _spaceship, "download": _download}
    app = builders[options.api](options, os.environ)
    host, _, port = options.listen.rpartition(":")
    listen(app, host.strip("[]"), int(port)).serve()


def _secret(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        sys.exit(f"{name} is not set: /etc/lab/lab.env must define it")
    return environ[name]


def _policy(options: argparse.Namespace, environ: Mapping[str, str]) -> Faults:
    # Tags that the lab's client owns: those of the deploy and of the lab's own nodes.
    tags = environ.get(
        "TS_OAUTH_TAGS",
        "tag:stalwart tag:reverse-proxy tag:mail tag:postgres tag:redis tag:garage",
    )
    client = policy.Client(
        _secret(environ, "TS_OAUTH_CLIENT_ID"),
        _secret(environ, "TS_OAUTH_CLIENT_SECRET"),
        frozenset(environ.get("TS_OAUTH_SCOPES", "policy_file auth_keys devices:core").split()),
        tuple(tags.split()),
    )
    credentials = policy.Credentials({_secret(environ, "TS_API_KEY")}, {client.id: client})
    headscale = policy.Headscale(options.headscale_url, lambda: options.headscale_key_file.read_text().strip())
    return policy.create_app(headscale, credentials, frozenset({options.tailnet}), environ.get("LAB_ADMIN_TOKEN", ""))


def _spaceship(options: argparse.Namespace, environ: Mapping[str, str]) -> Faults:
    key = tuple(_secret(environ, name) for name in ("TSIG_NAME", "TSIG_ALGORITHM", "TSIG_SECRET"))
    publisher = spaceship.NameServer(options.nameserver, options.nameserver_port, (key[0], key[1], key[2]))
    registry = spaceship.Registry(options.domain, publisher, options.delay, options.state, FOREIGN_ITEMS)
    return spaceship.create_app(
        registry,
        _secret(environ, "SPACESHIP_API_KEY"),
        _secret(environ, "SPACESHIP_API_SECRET"),
        token=environ.get("LAB_ADMIN_TOKEN", ""),
    )


def _download(options: argparse.Namespace, environ: Mapping[str, str]) -> Faults:
    return download.create_app(options.caddy, options.tailscale_dir, environ.get("LAB_ADMIN_TOKEN", ""))


if __name__ == "__main__":
    main(sys.argv[1:])
