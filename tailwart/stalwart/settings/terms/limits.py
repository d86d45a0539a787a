"""Sizes of messages and mailboxes, and how many recipients a message may have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from tailwart.fields import Size
from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Count, Term

# The server's own limits: whatever else goes through IMAP and JMAP must not shrink with the messages.
_SMTP, _MESSAGE, _ATTACHMENT, _IMAP_REQUEST, _UPLOAD = 104_857_600, 75_000_000, 50_000_000, 52_428_800, 50_000_000


def _message(value: int) -> int:
    if not 1024 <= value <= 1 << 30:
        raise ValueError("a size from 1K to 1G")
    return value


class LimitTerms(Term):
    """`message`: the largest message, in and out; None: the server's own limits.

    `mailbox`: the quota of declared accounts that have none of their own.
    """

    message: Annotated[Size, AfterValidator(_message)] | None = None
    mailbox: Size | None = None
    recipients: Count | None = None
    messages_per_connection: Count | None = None


def objects(terms: LimitTerms) -> Iterator[DesiredObject]:
    """Limits that the terms name. One message size holds on every way in: SMTP, IMAP APPEND and JMAP."""
    data: dict[str, object] = {}
    if terms.gives("message"):
        size = terms.message or 0
        data["maxMessageSize"] = _always(size or _SMTP)
        attachment = max(size, _ATTACHMENT)
        yield DesiredObject("Email", SINGLETON, {"maxMessageSize": size or _MESSAGE, "maxAttachmentSize": attachment})
        yield DesiredObject("Imap", SINGLETON, {"maxRequestSize": max(size, _IMAP_REQUEST)})
        yield DesiredObject("Jmap", SINGLETON, {"maxUploadSize": max(size, _UPLOAD), "uploadQuota": max(size, _UPLOAD)})
    if terms.messages_per_connection:
        data["maxMessages"] = _always(terms.messages_per_connection)
    if data:
        yield DesiredObject("MtaStageData", SINGLETON, data)
    if terms.recipients:
        yield DesiredObject("MtaStageRcpt", SINGLETON, {"maxRecipients": _always(terms.recipients)})


def _always(value: int) -> dict[str, object]:
    return {"match": (), "else": str(value)}
