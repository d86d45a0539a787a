"""Spaceship's DNS API, published to a real authoritative server by RFC 2136."""

from lab.control.spaceship.app import create_app
from lab.control.spaceship.publisher import NameServer, Publisher, PublishError
from lab.control.spaceship.registry import Registry

__all__ = ["NameServer", "PublishError", "Publisher", "Registry", "create_app"]
