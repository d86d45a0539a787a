"""Full-text search, and what people may see of each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Count, Term

_LOCALE = re.compile(r"[a-z]{2,3}_[A-Z]{2}\Z")


def _locale(value: str) -> str:
    if not _LOCALE.match(value):
        raise ValueError("a locale such as en_US or de_DE")
    return value


Locale = Annotated[str, AfterValidator(_locale)]
MailField = Literal[
    "attachment",
    "bcc",
    "body",
    "cc",
    "from",
    "hasAttachment",
    "headers",
    "receivedAt",
    "sentAt",
    "size",
    "subject",
    "to",
]


class SearchTerms(Term):
    """`mail`: whether words of messages are indexed; `mail_fields`: which parts; `languages`: whose word forms."""

    mail: bool = True
    mail_fields: tuple[MailField, ...] = ()
    contacts: bool = True
    calendars: bool = True
    languages: tuple[Locale, ...] = ()
    default_language: Locale | None = None


class SharingTerms(Term):
    """`find_people`: whether people can look each other up to share something; `shares`: how many may see one item."""

    find_people: bool = False
    shares: Count | None = None


def objects(terms: SearchTerms) -> Iterator[DesiredObject]:
    """The index settings that the terms name; mail that is there already needs a reindex."""
    fields: dict[str, Any] = {}
    for name, field in (("mail", "indexEmail"), ("contacts", "indexContacts"), ("calendars", "indexCalendar")):
        if terms.gives(name):
            fields[field] = getattr(terms, name)
    if terms.mail_fields:
        fields["indexEmailFields"] = frozenset(terms.mail_fields)
    if terms.languages:
        fields["supportedLanguages"] = frozenset(terms.languages)
    if terms.default_language:
        fields["defaultLanguage"] = terms.default_language
    if fields:
        yield DesiredObject("Search", SINGLETON, fields)


def sharing_objects(terms: SharingTerms) -> Iterator[DesiredObject]:
    """The sharing settings that the terms name."""
    fields: dict[str, Any] = {}
    if terms.gives("find_people"):
        fields["allowDirectoryQueries"] = terms.find_people
    if terms.shares:
        fields["maxShares"] = terms.shares
    if fields:
        yield DesiredObject("Sharing", SINGLETON, fields)
