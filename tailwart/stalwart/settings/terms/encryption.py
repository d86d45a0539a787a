"""Encryption at rest: mail is encrypted with a person's own public key when it arrives."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator

from tailwart.stalwart.protocol.kinds import MARK
from tailwart.stalwart.protocol.values import TYPE, Ref
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Address, Script, Term

KINDS = ("PublicKey",)


def _public(value: str) -> str:
    if "PRIVATE KEY" in value:
        raise ValueError("a public key; this text holds a private one")
    if not value.lstrip().startswith(("-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----BEGIN CERTIFICATE-----")):
        raise ValueError("an OpenPGP public key or an S/MIME certificate, in its armoured form")
    return value


class EncryptionTerms(Term):
    """One person's key. `appended`: encrypt also what a mail program stores; `learn_spam`: train before encrypting."""

    key: Annotated[Script, AfterValidator(_public)]
    cipher: Literal["AES128", "AES256"] = "AES256"
    appended: bool = False
    learn_spam: bool = False


def objects(people: Mapping[Address, EncryptionTerms | None]) -> Iterator[DesiredObject]:
    """A key and the account's choice for each person; None stores new mail in clear again."""
    for address, terms in people.items():
        if terms is None:
            yield DesiredObject("Account", address, {"encryptionAtRest": {TYPE: "Disabled"}})
            continue
        # The server writes keys in a form of its own: another key is another object, and the earlier one is deleted.
        key = Ref("PublicKey", f"{address} {hashlib.sha256(terms.key.encode()).hexdigest()[:12]}")
        yield DesiredObject(
            key.kind,
            key.key,
            {},
            at_creation={"description": f"{MARK}: {key.key}", "key": terms.key, "accountId": Ref("Account", address)},
        )
        choice = {
            TYPE: terms.cipher.capitalize(),
            "publicKey": key,
            "encryptOnAppend": terms.appended,
            "allowSpamTraining": terms.learn_spam,
        }
        yield DesiredObject("Account", address, {"encryptionAtRest": choice})
