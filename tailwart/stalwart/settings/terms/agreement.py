"""What only the terms together with `.env` and the declared accounts show to be wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.stalwart.settings.terms.model import Terms
from tailwart.stalwart.settings.terms.sign_in import EVERYONE


def check(
    terms: Terms,
    environment: Environment,
    *,
    users: Collection[str],
    known: Collection[str],
    with_password: Collection[str],
) -> None:
    """Raises one TailwartError that names every contradiction.

    `users` are the declared accounts, `known` every declared address, `with_password` people whose password is declared
    (the administrator is none of them).
    """
    problems = [
        *_domains(terms, environment, known),
        *_people(terms, users),
        *_secrets(terms, environment),
        *_directory(terms, with_password),
    ]
    if problems:
        raise TailwartError(
            "group_data/mailbox.py does not agree with .env and the declared accounts",
            seen="\n".join(problems),
            remedy="correct group_data/mailbox.py or .env; docs/recipes.md shows each topic",
        )


def _domains(terms: Terms, environment: Environment, known: Collection[str]) -> Iterator[str]:
    for name, domain in (terms.mailbox_domains or {}).items():
        place = f"mailbox_domains[{name!r}]"
        if name not in environment.domains:
            yield f"{place}: not a domain of this server; expected one of {', '.join(environment.domains)}"
        for key, address in (("catch_all", domain.catch_all), ("reports_to", domain.reports_to)):
            local = address is not None and address.rpartition("@")[2] in environment.domains
            if local and address not in known:
                yield f"{place}[{key!r}] = {address!r}: nobody declared has that address, and its mail would bounce"
        if isinstance(domain.sub_addressing, str):
            for address in sorted(known):
                local_part, _, its_domain = address.partition("@")
                if its_domain == name and domain.sub_addressing in local_part:
                    yield (
                        f"{place}['sub_addressing'] = {domain.sub_addressing!r}: {address} would lose its mail, "
                        "because what follows the separator is cut off"
                    )


def _people(terms: Terms, users: Collection[str]) -> Iterator[str]:
    named = {
        "mailbox_sign_in['passwords_from']": terms.mailbox_sign_in.passwords_from if terms.mailbox_sign_in else (),
        "mailbox_submission['may_send_as_anyone']": (
            terms.mailbox_submission.may_send_as_anyone if terms.mailbox_submission else ()
        ),
        "mailbox_encryption": terms.mailbox_encryption or (),
    }
    for place, addresses in named.items():
        for address in addresses:
            if address not in users and address != EVERYONE:
                yield f"{place}: {address} is not a declared account; expected one of {', '.join(sorted(users))}"


def _secrets(terms: Terms, environment: Environment) -> Iterator[str]:
    hooks = terms.mailbox_webhooks or {}
    if environment.webhook_token is None:
        for name in (name for name, hook in hooks.items() if hook.login):
            yield f"mailbox_webhooks[{name!r}]['login']: WEBHOOK_TOKEN is empty in .env"
    ldap = terms.mailbox_directory.ldap if terms.mailbox_directory else None
    if ldap and ldap.bind_dn and environment.ldap_bind_password is None:
        yield "mailbox_directory['ldap']['bind_dn']: LDAP_BIND_PASSWORD is empty in .env"


def _directory(terms: Terms, with_password: Collection[str]) -> Iterator[str]:
    if terms.external_directory:
        for address in sorted(with_password):
            yield f"mailbox_directory: the directory proves the password of {address}; remove the one that is declared"
