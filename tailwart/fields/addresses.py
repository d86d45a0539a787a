"""Where something is reached: host names, addresses, ports, URLs, SSH targets."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from tailwart.fields.amounts import listed
from tailwart.fields.names import LABEL, is_domain
from tailwart.network import TAILNET_V6

# Those of RFC 3986 that nothing between .env and the one who reads it could take for something else.
_URL_CHARACTERS = re.compile(r"[\w.~:/?#\[\]@&+,=%-]+\Z", re.ASCII)
# RFC 3986 §3.2.1
_LOGIN = re.compile(r"(?:[\w.~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*\Z", re.ASCII)


class SshTarget(NamedTuple):
    """Where a host is reached: ``user@host:port``."""

    user: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"


def host_name(value: str) -> str:
    """A full host name in lower case, or an address; raises ValueError with what was expected."""
    name = value.lower()
    if not is_domain(name) and not is_address(name):
        raise ValueError("a full host name (with its domain) or an address; a bare name fails silently in the store")
    return name


def is_address(value: str) -> bool:
    """Whether a text is an address of either family."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _url(value: str) -> str:
    parts = urlsplit(value)
    try:
        port_is_valid = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        port_is_valid = False
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_valid or any(map(str.isspace, value)):
        raise ValueError("a URL: https://host[:port]/path")
    if not _URL_CHARACTERS.match(value):
        raise ValueError("a URL without quotes, braces and other characters that end one; write them percent-encoded")
    if parts.username or parts.password:
        raise ValueError("a URL without credentials in it; they have keys of their own")
    return value.rstrip("/")


def _secure_url(value: str) -> str:
    url = _url(value)
    parts = urlsplit(url)
    host = parts.hostname or ""
    loopback = host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)
    if parts.scheme != "https" and not loopback:
        raise ValueError(
            "an https:// URL (plain http only to a loopback address): a credential or a program travels over it"
        )
    return url


def _endpoint(value: str) -> str:
    url = _url(value)
    parts = urlsplit(url)
    if parts.port is None:
        raise ValueError("a URL with its port, for example http://garage.tail1234.ts.net:3900")
    host_name(parts.hostname or "")
    return url


def _redis_url(secret: SecretStr) -> SecretStr:
    # Valkey's own tools write its name; the protocol is the same, and Stalwart knows the one name alone.
    value = re.sub(r"\Avalkey(s?)://", r"redis\1://", secret.get_secret_value())
    try:
        parts = urlsplit(value)
        complete = parts.scheme in {"redis", "rediss"} and parts.hostname is not None and parts.port is not None
    except ValueError:
        complete = False
    else:
        complete = complete and bool(re.fullmatch(r"/\d{1,4}", parts.path)) and not (parts.query or parts.fragment)
    if not complete:
        raise ValueError("redis://host:port/index with the full name, the port and the logical database index")
    if not _LOGIN.match(parts.netloc.rpartition("@")[0]):
        raise ValueError("a login as in `redis://name:password@host:port/index`, other characters percent-encoded")
    host_name(parts.hostname or "")
    return SecretStr(value)


def _postgres_url(secret: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(secret.get_secret_value())
        complete = parts.scheme in {"postgres", "postgresql"} and bool(parts.hostname and parts.username)
        complete = complete and parts.port is not None and not (parts.query or parts.fragment)
    except ValueError:
        complete = False
    else:
        complete = complete and bool(re.fullmatch(r"/[\w-]+", parts.path, re.ASCII))
    if not complete or not _LOGIN.match(parts.netloc.rpartition("@")[0]):
        raise ValueError(
            "postgresql://name:password@host:port/database, with other characters of the login percent-encoded"
        )
    return secret


def _ula(value: str) -> ipaddress.IPv6Network:
    try:
        network = ipaddress.IPv6Network(value)
    except ValueError as error:
        raise ValueError("an IPv6 unique local prefix of /64, host bits zero (RFC 4193)") from error
    # RFC 4193 §3.1: fc00::/7, of which only the half with the L bit (fd00::/8) may be chosen locally.
    if network.prefixlen != 64 or not network.subnet_of(ipaddress.IPv6Network("fd00::/8")):
        raise ValueError("an IPv6 unique local prefix of /64 inside fd00::/8 (RFC 4193)")
    if network.subnet_of(TAILNET_V6):
        raise ValueError(f"a prefix outside Tailscale's own {TAILNET_V6}")
    return network


def _smarthost(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    expected = (
        "an IPv4 address or a tailnet address, not a name: a name with an AAAA record sticks on hosts "
        "without IPv6 egress (lesson 8)"
    )
    try:
        address = ipaddress.ip_address(value)
    except ValueError as error:
        raise ValueError(expected) from error
    if address.version == 6 and address not in TAILNET_V6:
        raise ValueError(expected)
    return address


def _ssh(value: object) -> SshTarget:
    expected = "user@host or user@host:port, an IPv6 address in brackets"
    match = re.fullmatch(
        r"(?P<user>[a-z_][\w.-]*)@(?:\[(?P<v6>[0-9a-fA-F:]+)\]|(?P<host>[^\s:@\[\]]+))(?::(?P<port>\d+))?", str(value)
    )
    if match is None:
        raise ValueError(expected)
    port = int(match["port"] or 22)
    host = match["v6"] or match["host"]
    if not 0 < port < 65536 or (match["v6"] and not is_address(host)):
        raise ValueError(expected)
    if not is_address(host) and not all(map(LABEL.match, host.lower().split("."))):
        raise ValueError(expected)
    if re.fullmatch(r"[\d.]+", host) and not is_address(host):
        raise ValueError(expected)
    return SshTarget(match["user"], host, port)


def _port(value: object) -> int:
    if not re.fullmatch(r"\d{1,5}", str(value)) or not 0 < int(str(value)) < 65536:
        raise ValueError("a port number from 1 to 65535")
    return int(str(value))


def _address(version: int) -> BeforeValidator:
    def check(value: object) -> object:
        try:
            address = ipaddress.ip_address(str(value))
        except ValueError as error:
            raise ValueError(f"an IPv{version} address") from error
        if address.version != version or address.is_unspecified or address.is_multicast:
            raise ValueError(f"an IPv{version} address")
        return address

    return BeforeValidator(check)


def _socket_v6(value: str) -> str:
    match = re.fullmatch(r"\[(?P<address>[0-9a-fA-F:]+)\]:(?P<port>\d{1,5})", value)
    if match is None or not is_address(match["address"]) or not 0 < int(match["port"]) < 65536:
        raise ValueError("an IPv6 address in brackets and a port: [2001:db8::1]:443")
    return value


def _socket(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]", host) or not re.fullmatch(r"\d{1,5}", port):
        raise ValueError(f"host:port, several with commas; {value!r} is none")
    return value


HostName = Annotated[str, AfterValidator(host_name)]
Url = Annotated[str, AfterValidator(_url)]
SecureUrl = Annotated[str, AfterValidator(_secure_url)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]
Ula = Annotated[ipaddress.IPv6Network, BeforeValidator(_ula)]
Smarthost = Annotated[ipaddress.IPv4Address | ipaddress.IPv6Address, BeforeValidator(_smarthost)]
Ssh = Annotated[SshTarget, BeforeValidator(_ssh)]
Port = Annotated[int, BeforeValidator(_port)]
IPv4 = Annotated[ipaddress.IPv4Address, _address(4)]
IPv6 = Annotated[ipaddress.IPv6Address, _address(6)]
SocketV6 = Annotated[str, AfterValidator(_socket_v6)]
Sockets = Annotated[tuple[Annotated[str, AfterValidator(_socket)], ...], BeforeValidator(listed)]
