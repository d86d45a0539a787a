"""Who may sign in with what, and from where."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import BeforeValidator, ValidationInfo

from tailwart.network import LOOPBACK
from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Count, Networks, Term, address

EVERYONE = "everyone"
PASSWORD_NETWORKS = "credentials/[Password]/allowedIps"  # noqa: S105 - a property path, not a password


def _who(value: object, info: ValidationInfo) -> str:
    return EVERYONE if value == EVERYONE else address(value, info)


class SignInTerms(Term):
    """`passwords_from`: networks in which an account's own password counts; app passwords count everywhere.

    Keys are addresses of declared accounts, or "everyone" for all but administrators; None lifts the restriction.
    Administrators that are not named sign in from the tailnet alone.
    """

    passwords_from: Mapping[Annotated[str, BeforeValidator(_who)], Networks | None] = {}
    app_passwords: Count | None = None


def objects(terms: SignInTerms, addresses: Iterable[str], administrators: Container[str]) -> Iterator[DesiredObject]:
    """The restriction of each of these accounts that the terms name."""
    for address_ in addresses:
        everyone = EVERYONE in terms.passwords_from and address_ not in administrators
        if address_ in terms.passwords_from or everyone:
            networks = terms.passwords_from.get(address_, terms.passwords_from.get(EVERYONE))
            allowed = frozenset((*networks, *LOOPBACK) if networks else ())
            yield DesiredObject("Account", address_, {PASSWORD_NETWORKS: allowed})
    if terms.app_passwords:
        yield DesiredObject("Authentication", SINGLETON, {"maxAppPasswords": terms.app_passwords})
