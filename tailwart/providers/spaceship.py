"""Spaceship, by its own HTTP API (docs.spaceship.dev)."""

from __future__ import annotations

from pydantic import SecretStr

from tailwart.fields import SecureUrl, key
from tailwart.providers.definition import Definition, DnsServer, Keys, Notify, Provider, Variable

NAMESERVERS = ("launch1.spaceship.net", "launch2.spaceship.net")
SECTION = "DNS: Spaceship"


class SpaceshipKeys(Keys):
    """The API and a key of it."""

    spaceship_api_url: SecureUrl = key(
        SECTION, "Base URL of Spaceship's API.", "https://spaceship.dev/api/v1", "https://spaceship.dev/api/v1"
    )
    spaceship_api_key: SecretStr = key(SECTION, "API key.", "change-me-spaceship-key", secret=True)
    spaceship_api_secret: SecretStr = key(SECTION, "API secret.", "change-me-spaceship-secret", secret=True)


def connect(keys: SpaceshipKeys, notify: Notify) -> Provider:
    """The provider over HTTP."""
    from tailwart.providers._spaceship import Spaceship  # noqa: PLC0415 - loads `requests`, which only its user needs
    from tailwart.providers._spaceship_http import Client  # noqa: PLC0415

    key, secret = keys.spaceship_api_key.get_secret_value(), keys.spaceship_api_secret.get_secret_value()
    return Spaceship(Client(keys.spaceship_api_url, key, secret, notify), NAMESERVERS)


def dns_server(keys: SpaceshipKeys) -> DnsServer:
    """Stalwart's own access; it takes the key as plain text only."""
    return DnsServer(
        "spaceship",
        "Spaceship",
        {
            "apiKey": keys.spaceship_api_key,
            "secret": Variable("SPACESHIP_API_SECRET", keys.spaceship_api_secret),
        },
    )


PROVIDER = Definition(
    label="Spaceship",
    keys=SpaceshipKeys,
    ttl=range(60, 3601),  # the API document
    connect=connect,
    dns_server=dns_server,
)
