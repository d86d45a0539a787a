"""Other people's names, by this machine's resolver."""

from __future__ import annotations

from typing import Any


def public_txt(name: str) -> list[str] | None:
    """TXT texts of a name by this machine's resolver; the targets of `include:` are other people's names."""
    found = _resolve(name, "TXT")
    return None if found is None else [b"".join(rdata.strings).decode("utf-8", "replace") for rdata in found]


def public_answers(name: str, rtype: str) -> list[str] | None:
    """The data of a name and type by this machine's resolver, as text."""
    found = _resolve(name, rtype)
    return None if found is None else [rdata.to_text() for rdata in found]


def _resolve(name: str, rtype: str) -> list[Any] | None:
    # Loads asyncio and much of the library; an installation without foreign SPF terms asks for no name.
    import dns.exception  # noqa: PLC0415 - loads much of the library
    import dns.resolver  # noqa: PLC0415 - as above

    try:
        return list(dns.resolver.resolve(name, rtype, lifetime=5, search=False))
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError, ValueError, EOFError):
        return None
