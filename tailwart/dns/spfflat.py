"""Flattening: the networks that an include stands for today, for the owner to publish in its place.

Only on request, and nothing is written: whoever runs the included name may change it tomorrow, and a copy does not
follow.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from tailwart.dns import spf
from tailwart.dns.spfcost import Answers, Texts, target_of

_DEPTH = 10


class Unflattened(Exception):
    """An include that no list of networks can replace; the text says why."""


@dataclass(frozen=True, slots=True)
class Flat:
    """What each include stands for, as terms, and why others stay."""

    replaced: dict[str, tuple[str, ...]]
    kept: dict[str, str]


def flatten(text: str, texts: Texts, answers: Answers) -> Flat:
    """The networks behind each `include:` of a record."""
    replaced: dict[str, tuple[str, ...]] = {}
    kept: dict[str, str] = {}
    for term in spf.terms(text):
        if spf.name_of(term) != "include":
            continue
        if not term.lower().removeprefix("+").startswith("include:"):
            kept[term] = "it has a qualifier"
            continue
        try:
            replaced[term] = _terms(_networks(target_of(term), texts, answers, ()))
        except Unflattened as reason:
            kept[term] = str(reason)
    return Flat(replaced, kept)


def _networks(name: str, texts: Texts, answers: Answers, path: tuple[str, ...]) -> list[str]:
    if name in path or len(path) >= _DEPTH:
        raise Unflattened(f"{name} leads back to itself")
    if "%" in name:
        raise Unflattened(f"{name} depends on the message (a macro)")
    records = [each for each in _known(texts(name), name) if spf.is_spf(each)]
    if len(records) != 1:
        raise Unflattened(f"{name} has {len(records)} SPF records")
    found: list[str] = []
    terms = spf.terms(records[0])
    final = any(spf.name_of(term) == "all" for term in terms)
    for term in terms:
        kind = spf.name_of(term)
        if kind == "all":
            if term.lower() in {"all", "+all"}:
                raise Unflattened(f"{name} allows everybody (+all)")
            break  # what is not named there is not allowed by an include, whatever the qualifier
        if kind == "redirect":
            if not final:
                found += _networks(target_of(term), texts, answers, (*path, name))
        elif "=" in term.partition(":")[0]:
            continue  # a modifier that an include does not heed
        elif term[0] in "-~?":
            raise Unflattened(f"{name} takes senders out ({term}), which depends on the order")
        else:
            found += _mechanism(kind, term, name, texts, answers, (*path, name))
    return found


def _mechanism(  # noqa: PLR0917  # the term, and all that answers it
    kind: str, term: str, name: str, texts: Texts, answers: Answers, path: tuple[str, ...]
) -> list[str]:
    plain = term.removeprefix("+")
    if kind in {"ip4", "ip6"}:
        return [plain.partition(":")[2]]
    if kind == "include":
        return _networks(target_of(term), texts, answers, path)
    if kind not in {"a", "mx"} or "%" in term or "/" in plain:
        raise Unflattened(f"{name} has {term}, which no list of networks says")
    target = target_of(term) or name
    hosts = [target]
    if kind == "mx":
        hosts = [each.split()[-1].rstrip(".") for each in _known(answers(target, "MX"), target)]
    return [address for host in hosts for rtype in ("A", "AAAA") for address in _known(answers(host, rtype), host)]


def _known(answer: list[str] | None, name: str) -> list[str]:
    if answer is None:
        raise Unflattened(f"{name} could not be looked up")
    return answer


def _terms(networks: Iterable[str]) -> tuple[str, ...]:
    four: list[ipaddress.IPv4Network] = []
    six: list[ipaddress.IPv6Network] = []
    for text in networks:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise Unflattened(f"{text!r} is no network") from None
        if isinstance(network, ipaddress.IPv4Network):
            four.append(network)
        else:
            six.append(network)
    each: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = [
        *ipaddress.collapse_addresses(four),
        *ipaddress.collapse_addresses(six),
    ]
    return tuple(
        f"ip{network.version}:{network.network_address if network.num_addresses == 1 else network}" for network in each
    )
