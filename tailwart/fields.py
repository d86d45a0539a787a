"""What a setting of a `.env` is made of: `key()` documents one, the types below check its value.

Both the installation's settings and each DNS provider's own ones are declared with them. Every check raises
``ValueError`` with what was expected; the loader adds the key, the value and an example.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic.fields import FieldInfo

from tailwart import releases, webpaths
from tailwart.network import BY_NAME, MAIL_SERVICES, TAILNET_V6, Service, Services

# RFC 1035 §2.3.4 and RFC 1123 §2.1: letters, digits and inner hyphens, 63 octets a label, 253 in all.
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
_TAG = re.compile(r"tag:[a-z][a-z0-9-]*\Z")
# Headscale names its own users with an @ and nothing after it.
_TAG_OWNER = re.compile(
    r"(?:tag:[a-z][a-z0-9-]*=)?(?:(?:autogroup|group|tag):[\w.@+-]+|[^\s\"'=\\@]+@[\w.-]*)\Z", re.ASCII
)
_NAME = re.compile(r"[a-z][a-z0-9-]*\Z")
_LOCAL_PART = re.compile(r"[a-z0-9](?:[a-z0-9._+-]*[a-z0-9])?\Z")
_IMAGE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._/:-]*?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?\Z"
)
_STALWART_TAG = re.compile(r"v?\d+\.\d+\.\d+(?:-[a-z0-9.-]+)?\Z")
_SIZE = re.compile(r"(?P<number>\d+)\s*(?P<unit>[KMGT]?)i?B?\Z", re.IGNORECASE)
RETENTION = re.compile(r"(?P<kind>last|hourly|daily|weekly|monthly|yearly)=(?P<count>[1-9]\d{0,3})")
"""One term of BACKUP_KEEP."""
_S3_TARGET = re.compile(
    r"s3:https?://[A-Za-z0-9.-]+(?::\d{1,5})?/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[\w./-]*)?\Z", re.ASCII
)
_SFTP_TARGET = re.compile(
    r"sftp://[a-z_][\w.-]*@(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?/[\w./@+,=-]+\Z", re.ASCII
)
_DIRECTORY_TARGET = re.compile(r"/[\w./@+,=-]+\Z", re.ASCII)
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
_HIDDEN = ("/home", "/root", "/run", "/tmp", "/var/tmp")  # noqa: S108 - refused
_WEEKDAY = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
# Those of RFC 3986 that nothing between .env and the one who reads it could take for something else.
_URL_CHARACTERS = re.compile(r"[\w.~:/?#\[\]@&+,=%-]+\Z", re.ASCII)
# RFC 3986 §3.2.1
_LOGIN = re.compile(r"(?:[\w.~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*\Z", re.ASCII)
_MODULE = re.compile(r"[a-z0-9.-]+\.[a-z]{2,}/[\w./-]+(?:@[\w.+-]+)?\Z", re.IGNORECASE)


def key(section: str, description: str, example: str = "", default: Any = ..., secret: bool = False) -> Any:
    """A setting: its section and text in `.env.example`, an example, and a default when it may be left empty."""
    return Field(
        default, description=description, examples=[example], json_schema_extra={"section": section, "secret": secret}
    )


def is_secret(info: FieldInfo | None) -> bool:
    """Whether a setting's value must never be shown."""
    extra = info.json_schema_extra if info else None
    return isinstance(extra, dict) and bool(extra.get("secret"))


def example_of(info: FieldInfo | None) -> str:
    """The value that `.env.example` shows for a setting."""
    return str((info.examples or [""])[0]) if info else ""


class SshTarget(NamedTuple):
    """Where a host is reached: ``user@host:port``."""

    user: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"


def _is_domain(value: str) -> bool:
    labels = value.split(".")
    return len(value) <= 253 and len(labels) >= 2 and all(map(_LABEL.match, labels)) and not labels[-1].isdigit()


def domain_name(value: str) -> str:
    """A domain name in lower case; raises ValueError with what was expected."""
    name = value.lower()
    if not _is_domain(name):
        raise ValueError("a domain name of at least two labels, letters, digits and hyphens, without a final dot")
    return name


def _tailnet(value: str) -> str:
    name = value.lower()
    if not _is_domain(name):
        raise ValueError("the tailnet's MagicDNS name as the admin console shows it, without a host name in front")
    return name


def _label(value: str) -> str:
    if not _LABEL.match(value):
        raise ValueError("one DNS label: lower-case letters, digits and hyphens, no dots")
    return value


def _host_name(value: str) -> str:
    name = value.lower()
    if not _is_domain(name) and not _is_address(name):
        raise ValueError("a full host name (with its domain) or an address; a bare name fails silently in the store")
    return name


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _tag(value: str) -> str:
    if not _TAG.match(value):
        raise ValueError("a tailnet tag: `tag:`, then a letter, then letters, digits and hyphens")
    return value


def _image(value: str) -> str:
    match = _IMAGE.match(value)
    if match is None or not (match["tag"] or match["digest"]) or match["tag"] == "latest":
        raise ValueError("an image with a fixed version: name:tag or name@sha256:digest, never `latest`")
    return value


def _stalwart_image(value: str) -> str:
    match = _IMAGE.match(_image(value))
    assert match is not None
    tag = match["tag"] or ""
    if not _STALWART_TAG.match(tag) or not releases.supported(releases.find(tag)):
        # Stores of 0.16 are refused by 1.0, so another major is never an accident to be deployed.
        way = f"; to go on: {releases.WAY_TO_1_0}" if releases.newer(releases.find(tag)) else ""
        raise ValueError(
            f"a Stalwart image with a tag of version {releases.SUPPORTED.name}, the only one this deploy knows{way}"
        )
    return value


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
    loopback = host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
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
    _host_name(parts.hostname or "")
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
    _host_name(parts.hostname or "")
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
    if not 0 < port < 65536 or (match["v6"] and not _is_address(host)):
        raise ValueError(expected)
    if not _is_address(host) and not all(map(_LABEL.match, host.lower().split("."))):
        raise ValueError(expected)
    if re.fullmatch(r"[\d.]+", host) and not _is_address(host):
        raise ValueError(expected)
    return SshTarget(match["user"], host, port)


def _port(value: object) -> int:
    if not re.fullmatch(r"\d{1,5}", str(value)) or not 0 < int(str(value)) < 65536:
        raise ValueError("a port number from 1 to 65535")
    return int(str(value))


def _tag_owner(value: str) -> str:
    if not _TAG_OWNER.match(value):
        raise ValueError("an autogroup, group, tag or user, or TAG=OWNER for one tag alone: tag:mail=group:postmasters")
    return value


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


def _list(value: object) -> object:
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


def _count(least: int, most: int, expected: str) -> BeforeValidator:
    def check(value: object) -> int:
        if not re.fullmatch(r"\d{1,10}", str(value)) or not least <= int(str(value)) <= most:
            raise ValueError(expected)
        return int(str(value))

    return BeforeValidator(check)


def _vhost_paths(value: object) -> object:
    return webpaths.serves(value) if isinstance(value, str) else value


def _one_line(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().isprintable():
        raise ValueError("one line of printable characters; a longer text fits into a file on the mailbox host")
    return value


def _target(value: str) -> str:
    if not any(pattern.match(value) for pattern in (_S3_TARGET, _SFTP_TARGET, _DIRECTORY_TARGET)):
        raise ValueError(
            "a directory on the mailbox host, sftp://user@host[:port]/directory, or s3:https://host[:port]/bucket[/prefix]"
        )
    # The unit sees none of the real ones: what it wrote there would be gone when it ends.
    hidden = next((path for path in _HIDDEN if f"{value}/".startswith(f"{path}/")), "")
    if hidden:
        raise ValueError(f"a directory that is not below {hidden}, which a sandboxed unit does not see: /srv/backup")
    return value


def _retention(value: object) -> object:
    terms = _list(value)
    for term in terms if isinstance(terms, tuple) else ():
        if not RETENTION.fullmatch(str(term)):
            raise ValueError("what to keep: last=3, hourly=…, daily=7, weekly=4, monthly=6, yearly=…")
    return terms


def _pattern(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.match(value):
            raise ValueError(expected)
        return value

    return AfterValidator(check)


def _socket_v6(value: str) -> str:
    match = re.fullmatch(r"\[(?P<address>[0-9a-fA-F:]+)\]:(?P<port>\d{1,5})", value)
    if match is None or not _is_address(match["address"]) or not 0 < int(match["port"]) < 65536:
        raise ValueError("an IPv6 address in brackets and a port: [2001:db8::1]:443")
    return value


def _socket(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]", host) or not re.fullmatch(r"\d{1,5}", port):
        raise ValueError(f"host:port, several with commas; {value!r} is none")
    return value


def _ttl(value: object) -> int:
    # RFC 2181 §8: 31 bits. Each DNS provider accepts less, and says so itself.
    if not re.fullmatch(r"\d{1,10}", str(value)) or not 0 < int(str(value)) < 2**31:
        raise ValueError("a number of seconds, 1 or more")
    return int(str(value))


Domain = Annotated[str, AfterValidator(domain_name)]
Tailnet = Annotated[str, AfterValidator(_tailnet)]
Label = Annotated[str, AfterValidator(_label)]
HostName = Annotated[str, AfterValidator(_host_name)]
Tag = Annotated[str, AfterValidator(_tag)]
Image = Annotated[str, AfterValidator(_image)]
StalwartImage = Annotated[str, AfterValidator(_stalwart_image)]
Url = Annotated[str, AfterValidator(_url)]
SecureUrl = Annotated[str, AfterValidator(_secure_url)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]
Ula = Annotated[ipaddress.IPv6Network, BeforeValidator(_ula)]
Smarthost = Annotated[ipaddress.IPv4Address | ipaddress.IPv6Address, BeforeValidator(_smarthost)]
Ssh = Annotated[SshTarget, BeforeValidator(_ssh)]
Port = Annotated[int, BeforeValidator(_port)]
Boolean = Annotated[bool, BeforeValidator(_boolean)]
Size = Annotated[int, BeforeValidator(_size)]
IPv4 = Annotated[ipaddress.IPv4Address, _address(4)]
IPv6 = Annotated[ipaddress.IPv6Address, _address(6)]
SocketV6 = Annotated[str, AfterValidator(_socket_v6)]
Sockets = Annotated[tuple[Annotated[str, AfterValidator(_socket)], ...], BeforeValidator(_list)]
MailServices = Annotated[Services, BeforeValidator(_services)]
EdgeServices = Annotated[tuple[Service, ...], BeforeValidator(_edge_services)]
Preference = Annotated[int, _count(1, 65535, "a number from 1 to 65535; the lowest is tried first")]
Limit = Annotated[int, _count(0, 1_000_000, "a number, 0 for no limit")]
VhostPaths = Annotated[tuple[str, ...], BeforeValidator(_vhost_paths)]
Ttl = Annotated[int, BeforeValidator(_ttl)]
HostLabel = Annotated[str, _pattern(_NAME, "a short name: a lower-case letter, then letters, digits and hyphens")]
SECRET_PREFIX = "SECRET_"  # noqa: S105 - begins the keys of secrets of the operator's own naming
SecretName = Annotated[
    str, _pattern(re.compile(r"SECRET_[A-Z0-9][A-Z0-9_]*\Z"), "SECRET_ and then capital letters, digits, underscores")
]
SecretLine = Annotated[SecretStr, AfterValidator(_one_line)]
LocalPart = Annotated[
    str, _pattern(_LOCAL_PART, "the part before the @: lower-case letters, digits, dots, hyphens, plus, underscore")
]
Module = Annotated[str, _pattern(_MODULE, "a Go module path, optionally with @version: github.com/owner/name@v1.2.3")]
Sha256 = Annotated[str, _pattern(re.compile(r"[0-9a-f]{64}\Z"), "a SHA-256 as 64 hexadecimal digits")]
Identifier = Annotated[
    str,
    _pattern(re.compile(r"[a-z_][a-z0-9_]{0,62}\Z"), "an unquoted SQL name: lower-case letters, digits, underscore"),
]
Bucket = Annotated[
    str, _pattern(re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z"), "an S3 bucket name, 3 to 63 characters")
]
AbsolutePath = Annotated[
    str, _pattern(re.compile(r"/[\w./@+,=:-]+\Z"), "an absolute path on the host, of letters, digits and ./@+,=:_-")
]

MOVED_WEB, MOVED_WEB_WITH_ADDRESSES = ":8443", ":8443,proxy"
"""A web server beside an edge that the operator has moved to 8443; the second one takes a PROXY header there."""
WebServer = Annotated[
    str,
    _pattern(
        re.compile(rf"/[\w./@+,=:-]+\Z|{MOVED_WEB}(?:,proxy)?\Z"),
        "the path of a Caddyfile or JSON configuration, or :8443 (with ,proxy) for a server that you have moved there",
    ),
]

Domains = Annotated[tuple[Domain, ...], BeforeValidator(_list)]
Modules = Annotated[tuple[Module, ...], BeforeValidator(_list)]
LocalParts = Annotated[tuple[LocalPart, ...], BeforeValidator(_list)]
TagOwners = Annotated[tuple[Annotated[str, AfterValidator(_tag_owner)], ...], BeforeValidator(_list)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_list)]
BackupTarget = Annotated[str, AfterValidator(_target)]
Retention = Annotated[tuple[str, ...], BeforeValidator(_retention)]
TimeOfDay = Annotated[str, _pattern(re.compile(rf"{_TIME}\Z"), "a time of day: 03:10")]
WeekTime = Annotated[
    str,
    _pattern(
        re.compile(rf"(?:(?:{_WEEKDAY}) )?{_TIME}\Z"), "a time, with a day of the week for once a week: Sun 04:30"
    ),
]
HostKey = Annotated[
    str,
    _pattern(
        re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/]+=*\Z"),
        "a host's public key as `ssh-keyscan` prints it, without the name: ssh-ed25519 AAAA…",
    ),
]
