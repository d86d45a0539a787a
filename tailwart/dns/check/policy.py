"""The MTA-STS policy, fetched as a sending server does (RFC 8461)."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address

from tailwart.dns.check.findings import Finding, ok, wrong

PATH = "/.well-known/mta-sts.txt"
_TIMEOUT = 8.0
_LIMIT = 64 * 1024


def fetch(address: IPv4Address | IPv6Address, host: str) -> str:
    """The policy text from one edge, its certificate verified. Raises `OSError` when it cannot be had."""
    connection = http.client.HTTPConnection(host, timeout=_TIMEOUT)
    # To this address and not to whichever the resolver knows: each edge is checked.
    with socket.create_connection((str(address), 443), timeout=_TIMEOUT) as plain:
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        try:
            connection.request("GET", PATH, headers={"User-Agent": "tailwart"})
            answer = connection.getresponse()
            body = answer.read(_LIMIT).decode("utf-8", "replace")
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP answer: {type(error).__name__}") from error
        finally:
            connection.close()
    if answer.status != 200:
        raise OSError(f"HTTP {answer.status}")
    return body


def parse(text: str) -> dict[str, list[str]]:
    """The fields of a policy; `mx` may stand several times (RFC 8461 §3.2)."""
    fields: dict[str, list[str]] = {}
    for row in text.splitlines():
        key, separator, value = row.partition(":")
        if separator:
            fields.setdefault(key.strip().lower(), []).append(value.strip())
    return fields


def check(subject: str, text: str, mail_host: str) -> Iterator[Finding]:
    """Whether a policy is one, and lets mail to our MX through."""
    fields = parse(text)
    if fields.get("version") != ["STSv1"] or not fields.get("max_age", [""])[0].isdigit():
        yield wrong(
            "mta-sts",
            subject,
            f"is no policy: {text[:60]!r}",
            remedy=f"{PATH} must hold version: STSv1, mode, mx and max_age",
            required=False,
        )
        return
    mode = fields.get("mode", ["none"])[0]
    if mode != "none" and not any(_matches(mail_host, pattern) for pattern in fields.get("mx", [])):
        yield wrong(
            "mta-sts",
            subject,
            f"names {', '.join(fields.get('mx', [])) or 'no mx'}, not {mail_host}",
            remedy=f"it must have the line: mx: {mail_host}",
            required=mode == "enforce",
        )
    elif mode != "enforce":
        yield wrong(
            "mta-sts", subject, f"has mode {mode}", remedy="set mode enforce once reports are clean", required=False
        )
    else:
        yield ok("mta-sts", subject, f"enforces TLS for {', '.join(fields['mx'])}", required=False)


def _matches(host: str, pattern: str) -> bool:
    pattern = pattern.lower()
    # A wildcard stands for one label only (RFC 8461 §4.1).
    return host == pattern or (
        pattern.startswith("*.") and fnmatchcase(host, pattern) and host.count(".") == pattern.count(".")
    )
