"""Numbers, sizes, switches and lists."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

from tailwart import webpaths
from tailwart.network import BY_NAME, MAIL_SERVICES, Service, Services

_SIZE = re.compile(r"(?P<number>\d+)\s*(?P<unit>[KMGT]?)i?B?\Z", re.IGNORECASE)


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
    if str(value).lower() not in words:
        raise ValueError("true or false")
    return words[str(value).lower()]


def _size(value: object) -> int:
    match = _SIZE.match(str(value))
    if match is None:
        raise ValueError("a size in bytes, or with K, M, G or T (powers of 1024)")
    power: int = " KMGT".index(match["unit"].upper() or " ")
    return int(match["number"]) * int(1024**power)


def listed(value: object) -> object:
    """The parts of a text between commas; a value that is no text as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _services(value: object) -> object:
    return Services.parse(value) if isinstance(value, str) else value


def _edge_services(value: object) -> object:
    if not isinstance(value, str):
        return value
    names = [part.strip().lower() for part in value.split(",") if part.strip()]
    for name in names:
        if name not in BY_NAME:
            raise ValueError(f"a list of {', '.join(BY_NAME)}; {name!r} is none")
    return tuple(service for service in MAIL_SERVICES if service.name in names)


def whole_number(least: int, most: int, expected: str) -> BeforeValidator:
    """A number between two bounds, both included."""

    def check(value: object) -> int:
        if not re.fullmatch(r"\d{1,10}", str(value)) or not least <= int(str(value)) <= most:
            raise ValueError(expected)
        return int(str(value))

    return BeforeValidator(check)


def _vhost_paths(value: object) -> object:
    return webpaths.serves(value) if isinstance(value, str) else value


def _ttl(value: object) -> int:
    # RFC 2181 §8: 31 bits. Each DNS provider accepts less, and says so itself.
    if not re.fullmatch(r"\d{1,10}", str(value)) or not 0 < int(str(value)) < 2**31:
        raise ValueError("a number of seconds, 1 or more")
    return int(str(value))


Boolean = Annotated[bool, BeforeValidator(_boolean)]
Size = Annotated[int, BeforeValidator(_size)]
MailServices = Annotated[Services, BeforeValidator(_services)]
EdgeServices = Annotated[tuple[Service, ...], BeforeValidator(_edge_services)]
Preference = Annotated[int, whole_number(1, 65535, "a number from 1 to 65535; the lowest is tried first")]
Limit = Annotated[int, whole_number(0, 1_000_000, "a number, 0 for no limit")]
VhostPaths = Annotated[tuple[str, ...], BeforeValidator(_vhost_paths)]
Ttl = Annotated[int, BeforeValidator(_ttl)]
Texts = Annotated[tuple[str, ...], BeforeValidator(listed)]
