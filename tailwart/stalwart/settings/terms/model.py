"""All topics together: the names of `group_data/mailbox.py`, and the desired objects that they stand for."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping

from tailwart.fields import Domain
from tailwart.network import Services
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms import (
    directory,
    domains,
    encryption,
    limits,
    mta_sts,
    reports,
    resolver,
    retention,
    search,
    sieve,
    sign_in,
    spam,
    submission,
    tls,
    webhooks,
)
from tailwart.stalwart.settings.terms.fields import Address, Name, Term


class Terms(Term):
    """One key per topic; a key that is not set manages nothing."""

    mailbox_domains: Mapping[Domain, domains.DomainTerms] | None = None
    mailbox_spam: spam.SpamTerms | None = None
    mailbox_limits: limits.LimitTerms | None = None
    mailbox_retention: retention.RetentionTerms | None = None
    mailbox_system_sieve: sieve.SystemScripts | None = None
    mailbox_user_sieve: sieve.UserScripts | None = None
    mailbox_sign_in: sign_in.SignInTerms | None = None
    mailbox_submission: submission.SubmissionTerms | None = None
    mailbox_rates: submission.RateTerms | None = None
    mailbox_webhooks: Mapping[Name, webhooks.WebhookTerms] | None = None
    mailbox_directory: directory.DirectoryTerms | None = None
    mailbox_encryption: Mapping[Address, encryption.EncryptionTerms | None] | None = None
    mailbox_search: search.SearchTerms | None = None
    mailbox_sharing: search.SharingTerms | None = None
    mailbox_tls: tls.TlsTerms | None = None
    mailbox_mta_sts: mta_sts.MtaStsTerms | None = None
    mailbox_reports: reports.ReportTerms | None = None
    mailbox_resolver: resolver.ResolverTerms | None = None

    @property
    def external_directory(self) -> bool:
        """Whether logins are proven by another server."""
        return self.mailbox_directory is not None and self.mailbox_directory.external

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of which objects of ours are deleted when they are not declared any more."""
        owned: Mapping[str, tuple[str, ...]] = {
            "mailbox_spam": spam.KINDS,
            "mailbox_system_sieve": sieve.SYSTEM_KINDS,
            "mailbox_user_sieve": sieve.USER_KINDS,
            "mailbox_rates": submission.RATE_KINDS,
            "mailbox_webhooks": webhooks.KINDS,
            "mailbox_directory": directory.KINDS,
            "mailbox_encryption": encryption.KINDS,
        }
        return tuple(kind for key, kinds in owned.items() if getattr(self, key) is not None for kind in kinds)


def objects(
    terms: Terms,
    *,
    services: Services,
    addresses: Iterable[str],
    administrators: Container[str],
    webhooks_signed: bool,
    ldap_secret: bool,
) -> Iterator[DesiredObject]:
    """The desired objects of every topic that is set.

    `addresses` are those of the declared accounts, `administrators` those among them with that role.
    """
    yield from domains.objects(terms.mailbox_domains or {})
    if terms.mailbox_sign_in is not None:
        yield from sign_in.objects(terms.mailbox_sign_in, addresses, administrators)
    yield from encryption.objects(terms.mailbox_encryption or {})
    if terms.mailbox_directory is not None:
        yield from directory.objects(terms.mailbox_directory, with_secret=ldap_secret)
    if terms.mailbox_tls is not None:
        yield from tls.objects(terms.mailbox_tls, services)
    if terms.mailbox_mta_sts is not None:
        yield from mta_sts.objects(terms.mailbox_mta_sts)
    yield from _mail(terms)
    yield from webhooks.objects(terms.mailbox_webhooks or {}, signed=webhooks_signed)
    if terms.mailbox_search is not None:
        yield from search.objects(terms.mailbox_search)
    if terms.mailbox_sharing is not None:
        yield from search.sharing_objects(terms.mailbox_sharing)
    if terms.mailbox_resolver is not None:
        yield from resolver.objects(terms.mailbox_resolver)


def _mail(terms: Terms) -> Iterator[DesiredObject]:
    """What happens to a message."""
    if terms.mailbox_system_sieve is not None:
        yield from sieve.system_objects(terms.mailbox_system_sieve)
    yield from sieve.user_objects(terms.mailbox_user_sieve or {})
    if terms.mailbox_limits is not None:
        yield from limits.objects(terms.mailbox_limits)
    if terms.mailbox_retention is not None:
        yield from retention.objects(terms.mailbox_retention)
    if terms.mailbox_spam is not None:
        yield from spam.objects(terms.mailbox_spam)
    if terms.mailbox_submission is not None:
        yield from submission.objects(terms.mailbox_submission)
    if terms.mailbox_rates is not None:
        yield from submission.rate_objects(terms.mailbox_rates)
    if terms.mailbox_reports is not None:
        yield from reports.objects(terms.mailbox_reports)
