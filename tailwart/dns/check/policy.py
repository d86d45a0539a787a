"""The MTA-STS policy, fetched as a sending server does (RFC 8461)."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from tailwart.dns.check.findings import Finding, ok, wrong

PATH = "/.well-known/mta-sts.txt"
_TIMEOUT = 8.0
_LIMIT = 64 * 1024


class StatusError(OSError):
    """An answer with another status than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


def fetch(address: IPv4Address | IPv6Address, host: str, roots: str | None = None) -> str:
    """The policy text from one edge, its certificate verified. Raises `OSError` when it cannot be had."""
    return request(address, host, PATH, roots=roots)


def request(
    address: IPv4Address | IPv6Address,
    host: str,
    path: str,
    *,
    body: str = "",
    port: int = 443,
    roots: str | None = None,
) -> str:
    """What one edge answers for a name, its certificate verified; with a ``body`` by POST.

    ``roots`` is a PEM file of further authorities (`ACME_CA`). Raises `OSError` for anything but a 200.
    """
    context = ssl.create_default_context()
    if roots:
        context.load_verify_locations(Path(roots).expanduser())
    connection = http.client.HTTPConnection(host, timeout=_TIMEOUT)
    headers = {"User-Agent": "tailwart"} | ({"Content-Type": "text/xml; charset=utf-8"} if body else {})
    # To this address and not to whichever the resolver knows: each edge is checked.
    with socket.create_connection((str(address), port), timeout=_TIMEOUT) as plain:
        connection.sock = context.wrap_socket(plain, server_hostname=host)
        try:
            connection.request("POST" if body else "GET", path, body=body or None, headers=headers)
            answer = connection.getresponse()
            text = answer.read(_LIMIT).decode("utf-8", "replace")
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP answer: {type(error).__name__}") from error
        finally:
            connection.close()
    if answer.status != 200:
        raise StatusError(answer.status)
    return text


def parse(text: str) -> dict[str, list[str]]:
    """The fields of a policy; `mx` may stand several times (RFC 8461 §3.2)."""
    fields: dict[str, list[str]] = {}
    for row in text.splitlines():
        key, separator, value = row.partition(":")
        if separator:
            fields.setdefault(key.strip().lower(), []).append(value.strip())
    return fields


def check(subject: str, text: str, hosts: Sequence[str]) -> Iterator[Finding]:
    """Whether a policy is one, and names exactly the domain's MX hosts, ours among them (RFC 8461 §4.1)."""
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
    mode, patterns = fields.get("mode", ["none"])[0], fields.get("mx", [])
    refused = [host for host in hosts if not any(_matches(host, pattern) for pattern in patterns)]
    unused = [pattern for pattern in patterns if not any(_matches(host, pattern) for host in hosts)]
    if mode != "none" and refused:
        yield wrong(
            "mta-sts",
            subject,
            f"names {', '.join(patterns) or 'no mx'}, not {', '.join(refused)}",
            remedy="the policy must have these lines",
            paste="\n".join(f"mx: {host}" for host in refused),
            required=mode == "enforce",
        )
    elif mode != "none" and unused:
        yield wrong(
            "mta-sts",
            subject,
            f"names {', '.join(unused)}, which no MX record does",
            remedy="take it out of the policy, or add the MX record: they should be equal",
            required=False,
        )
    else:
        # When a policy in testing should become one that enforces, says the check of steps.
        said = "enforces TLS for" if mode == "enforce" else f"has mode {mode}, for"
        yield ok("mta-sts", subject, f"{said} {', '.join(patterns)}", required=False)


def _matches(host: str, pattern: str) -> bool:
    pattern = pattern.lower()
    # A wildcard stands for one label only (RFC 8461 §4.1).
    return host == pattern or (
        pattern.startswith("*.") and fnmatchcase(host, pattern) and host.count(".") == pattern.count(".")
    )
