"""The certificates that the server holds, and how they come: entered into the server's book."""

from __future__ import annotations

from datetime import timedelta

from tailwart.checks import limits
from tailwart.checks.model import Book, CannotLook, Found, NotApplicable
from tailwart.checks.server_facts import ServerFacts, time
from tailwart.errors import TailwartError
from tailwart.stalwart.protocol.values import TYPE

SOON = timedelta(days=14)
_SELF_SIGNED = "rcgen"
_DEPLOY = "pyinfra inventory.py deploy.py --limit mailbox"


def enter(book: Book[ServerFacts]) -> None:
    """Enter the checks of certificates."""
    for add in (_certificate, _renewal, _dns_01, _issuances):
        add(book)


def _certificate(book: Book[ServerFacts]) -> None:
    @book.check("certificate", "Every mail domain has a certificate with days left", remedy=_DEPLOY, lesson=1)
    def _(facts: ServerFacts) -> Found:
        _need_acme(facts)
        for domain in facts.environment.domains:
            used = facts.certificates(domain)
            if not used:
                yield f"{domain}: none; the server shows its own self-signed one"
            for item in used:
                end = time(item.get("notValidAfter"))
                names = ", ".join(sorted(item.get("subjectAlternativeNames") or {}))
                if _SELF_SIGNED in str(item.get("issuer")):
                    yield f"{domain}: self-signed by {item.get('issuer')}"
                elif end is not None and end - facts.now < SOON and not facts.environment.offline:
                    yield f"{domain}: valid until {end:%Y-%m-%d}, {(end - facts.now).days} days ({names})"


def _renewal(book: Book[ServerFacts]) -> None:
    @book.check(
        "renewal",
        "Renewals are planned and do not fail",
        remedy="put a valid key of the DNS provider into .env, then " + _DEPLOY,
        lesson=2,
    )
    def _(facts: ServerFacts) -> Found:
        _need_acme(facts)
        yield from (text for item in facts.observed.certificates if (text := item.message()))


def _dns_01(book: Book[ServerFacts]) -> None:
    @book.check("dns-01", "Certificates come by DNS-01, with one renewal per domain", remedy=_DEPLOY, lesson=4)
    def _(facts: ServerFacts) -> Found:
        _need_acme(facts)
        for provider in facts.of("AcmeProvider"):
            if (kind := provider.get("challengeType")) != "Dns01":
                yield f"{provider.get('directory')}: challenge {kind}"
        for domain in facts.environment.domains:
            identifier = facts.domain_id(domain)
            planned = [
                item
                for item in facts.of("Task")
                if item.get(TYPE) == "AcmeRenewal" and item.get("domainId") == identifier
            ]
            going = [item for item in planned if (item.get("status") or {}).get(TYPE) != "Failed"]
            if len(going) > 1:
                yield f"{domain}: {len(going)} renewals compete"


def _issuances(book: Book[ServerFacts]) -> None:
    @book.check(
        "issuances",
        "The certificate authority's limits are not near",
        remedy="find out what orders again and again (a store that is lost at each start?); ACME_STAGING=true for "
        "trials",
        lesson=7,
        deep=True,
    )
    def _(facts: ServerFacts) -> Found:
        limits.applies(facts.environment)
        if isinstance(facts.issued, TailwartError):
            raise facts.issued
        if facts.issued is None:
            raise CannotLook("the public logs were not asked")
        for domain, issued in facts.issued.items():
            yield from limits.near(domain, issued, facts.now)


def _need_acme(facts: ServerFacts) -> None:
    if facts.environment.acme_directory is None:
        raise NotApplicable("ACME_DIRECTORY is not set")
