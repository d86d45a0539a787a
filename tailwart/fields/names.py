"""Names: of domains, tags, images, accounts, keys; each with what is expected of one."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr

from tailwart import releases
from tailwart.fields.amounts import listed

# RFC 1035 §2.3.4 and RFC 1123 §2.1: letters, digits and inner hyphens, 63 octets a label, 253 in all.
LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
_TAG = re.compile(r"tag:[a-z][a-z0-9-]*\Z")
# Headscale names its own users with an @ and nothing after it.
_TAG_OWNER = re.compile(
    r"(?:tag:[a-z][a-z0-9-]*=)?(?:(?:autogroup|group|tag):[\w.@+-]+|[^\s\"'=\\@]+@[\w.-]*)\Z", re.ASCII
)
NAME = re.compile(r"[a-z][a-z0-9-]*\Z")
_LOCAL_PART = re.compile(r"[a-z0-9](?:[a-z0-9._+-]*[a-z0-9])?\Z")
_IMAGE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._/:-]*?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?\Z"
)
_STALWART_TAG = re.compile(r"v?\d+\.\d+\.\d+(?:-[a-z0-9.-]+)?\Z")
_MODULE = re.compile(r"[a-z0-9.-]+\.[a-z]{2,}/[\w./-]+(?:@[\w.+-]+)?\Z", re.IGNORECASE)


def is_domain(value: str) -> bool:
    """Whether a lower-case text is a domain name of two labels or more."""
    labels = value.split(".")
    return len(value) <= 253 and len(labels) >= 2 and all(map(LABEL.match, labels)) and not labels[-1].isdigit()


def domain_name(value: str) -> str:
    """A domain name in lower case; raises ValueError with what was expected."""
    name = value.lower()
    if not is_domain(name):
        raise ValueError("a domain name of at least two labels, letters, digits and hyphens, without a final dot")
    return name


def _tailnet(value: str) -> str:
    name = value.lower()
    if not is_domain(name):
        raise ValueError("the tailnet's MagicDNS name as the admin console shows it, without a host name in front")
    return name


def _label(value: str) -> str:
    if not LABEL.match(value):
        raise ValueError("one DNS label: lower-case letters, digits and hyphens, no dots")
    return value


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


def _tag_owner(value: str) -> str:
    if not _TAG_OWNER.match(value):
        raise ValueError("an autogroup, group, tag or user, or TAG=OWNER for one tag alone: tag:mail=group:postmasters")
    return value


def _one_line(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().isprintable():
        raise ValueError("one line of printable characters; a longer text fits into a file on the mailbox host")
    return value


def matching(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    """A check by a pattern, and what was expected."""

    def check(value: str) -> str:
        if not pattern.match(value):
            raise ValueError(expected)
        return value

    return AfterValidator(check)


Domain = Annotated[str, AfterValidator(domain_name)]
Tailnet = Annotated[str, AfterValidator(_tailnet)]
Label = Annotated[str, AfterValidator(_label)]
Tag = Annotated[str, AfterValidator(_tag)]
Image = Annotated[str, AfterValidator(_image)]
StalwartImage = Annotated[str, AfterValidator(_stalwart_image)]
HostLabel = Annotated[str, matching(NAME, "a short name: a lower-case letter, then letters, digits and hyphens")]
SECRET_PREFIX = "SECRET_"  # noqa: S105 - begins the keys of secrets of the operator's own naming
SecretName = Annotated[
    str, matching(re.compile(r"SECRET_[A-Z0-9][A-Z0-9_]*\Z"), "SECRET_ and then capital letters, digits, underscores")
]
SecretLine = Annotated[SecretStr, AfterValidator(_one_line)]
LocalPart = Annotated[
    str, matching(_LOCAL_PART, "the part before the @: lower-case letters, digits, dots, hyphens, plus, underscore")
]
Module = Annotated[str, matching(_MODULE, "a Go module path, optionally with @version: github.com/owner/name@v1.2.3")]
Sha256 = Annotated[str, matching(re.compile(r"[0-9a-f]{64}\Z"), "a SHA-256 as 64 hexadecimal digits")]
Identifier = Annotated[
    str,
    matching(re.compile(r"[a-z_][a-z0-9_]{0,62}\Z"), "an unquoted SQL name: lower-case letters, digits, underscore"),
]
Bucket = Annotated[
    str, matching(re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z"), "an S3 bucket name, 3 to 63 characters")
]
AbsolutePath = Annotated[
    str, matching(re.compile(r"/[\w./@+,=:-]+\Z"), "an absolute path on the host, of letters, digits and ./@+,=:_-")
]

MOVED_WEB, MOVED_WEB_WITH_ADDRESSES = ":8443", ":8443,proxy"
"""A web server beside an edge that the operator has moved to 8443; the second one takes a PROXY header there."""
WebServer = Annotated[
    str,
    matching(
        re.compile(rf"/[\w./@+,=:-]+\Z|{MOVED_WEB}(?:,proxy)?\Z"),
        "the path of a Caddyfile or JSON configuration, or :8443 (with ,proxy) for a server that you have moved there",
    ),
]

Domains = Annotated[tuple[Domain, ...], BeforeValidator(listed)]
Modules = Annotated[tuple[Module, ...], BeforeValidator(listed)]
LocalParts = Annotated[tuple[LocalPart, ...], BeforeValidator(listed)]
TagOwners = Annotated[tuple[Annotated[str, AfterValidator(_tag_owner)], ...], BeforeValidator(listed)]
HostKey = Annotated[
    str,
    matching(
        re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/]+=*\Z"),
        "a host's public key as `ssh-keyscan` prints it, without the name: ssh-ed25519 AAAA…",
    ),
]
