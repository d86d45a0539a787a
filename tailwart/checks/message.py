"""SPF, DKIM and DMARC of a message that really went out: as its receiver has it, judged by what the zone says today.

The message is the receiver's copy ("show original", then save), with the header lines that were added on the way: from
them come the address that it left from, and the sender of its envelope.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import dkim

from tailwart.checks.doctor import Outcome
from tailwart.checks.model import Book, CannotLook, Check, Found
from tailwart.dns import dmarc, spfresult
from tailwart.dns.authority import locate
from tailwart.dns.check import resolving
from tailwart.dns.check.names import Names
from tailwart.environment import Environment
from tailwart.network import TAILNET_RANGES

_INSIDE = tuple(
    ip_network(text)
    for text in (*TAILNET_RANGES, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7")
)
# RFC 7208 §9.1; RFC 5321 §4.4 has the address in brackets, after the name that the client gave.
_CLIENT_IP = re.compile(r"client-ip=\"?([0-9a-fA-F.:]+)")
_FROM = re.compile(r"^from\s.*?[\[(](?:IPv6:)?([0-9a-fA-F.:]+)[\])]", re.DOTALL)
_TEXTS = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Signature:
    """One DKIM signature. ``problem`` says why it does not hold, and is empty where it does."""

    domain: str
    selector: str
    problem: str


@dataclass(frozen=True)
class MessageFacts:
    """A received message, and whom to ask: ``answers`` as `tailwart.dns.spfcost.Answers`, TXT included."""

    environment: Environment
    raw: bytes
    answers: Callable[[str, str], list[str] | None]

    @cached_property
    def message(self) -> EmailMessage:
        """The parsed message."""
        parsed = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def texts(self, name: str) -> list[str] | None:
        """The TXT texts of a name, each in one piece."""
        found = self.answers(name, "TXT")
        return None if found is None else [_text(each) for each in found]

    @cached_property
    def author(self) -> str:
        """The domain of From, which DMARC protects; raises `CannotLook` for that of somebody else."""
        domain = _domain(str(self.message.get("From", "")))
        if not any(domain == own or domain.endswith(f".{own}") for own in self.environment.domains):
            raise CannotLook(f"the message is from {domain or 'nobody'}, which is no mail domain of this installation")
        return domain

    @cached_property
    def sender(self) -> str:
        """The domain of the envelope's sender: Return-Path, which the receiver writes."""
        if not (domain := _domain(str(self.message.get("Return-Path", "")))):
            raise CannotLook("without Return-Path the sender of the envelope is not known")
        return domain

    @cached_property
    def client(self) -> IPv4Address | IPv6Address:
        """The address that the receiver was connected from; raises `CannotLook` where no line says it."""
        noted = [match[1] for text in self.message.get_all("Received-SPF", []) if (match := _CLIENT_IP.search(text))]
        passed = [match[1] for text in self.message.get_all("Received", []) if (match := _FROM.match(text.strip()))]
        for text in (*noted[:1], *passed):
            try:
                address = ip_address(text)
            except ValueError:
                continue
            # What the receiver hands on among its own servers comes before, and says nothing.
            if not any(address in network for network in _INSIDE if network.version == address.version):
                return address
        raise CannotLook("no Received line says from which address it came: save the message as it was received")

    @cached_property
    def signatures(self) -> tuple[Signature, ...]:
        """Every DKIM signature, verified; raises `CannotLook` where a key cannot be asked for."""
        return tuple(self._verified())

    def _verified(self) -> Iterator[Signature]:
        whole = re.sub(rb"\r?\n", b"\r\n", self.raw)
        for number, text in enumerate(self.message.get_all("DKIM-Signature", [])):
            tags = dmarc.tags(str(text))
            domain, selector = tags.get("d", "").lower(), tags.get("s", "")
            keys = self.texts(f"{selector}._domainkey.{domain}")
            if keys is None:
                raise CannotLook(f"nobody could be asked for {selector}._domainkey.{domain}")
            yield Signature(domain, selector, _problem(whole, number, keys))

    @cached_property
    def spf(self) -> str:
        """The result of SPF for the sender's domain."""
        try:
            return spfresult.result(self.client, self.sender, self.texts, self.answers)
        except spfresult.Unanswered as reason:
            raise CannotLook(str(reason)) from None

    def aligned(self, domain: str, *, strict: bool) -> bool:
        """Whether a domain speaks for the author's (RFC 7489 §3.1); the organisation's is that of the installation."""
        return domain == self.author or (not strict and self._organisation(domain) == self._organisation(self.author))

    def _organisation(self, domain: str) -> str:
        own = [each for each in self.environment.domains if domain == each or domain.endswith(f".{each}")]
        return min(own, key=len, default=domain)

    def policy(self) -> dict[str, str] | None:
        """The tags of the DMARC record that counts; None without one."""
        for domain in dict.fromkeys((self.author, self._organisation(self.author))):
            found = self.texts(f"{dmarc.NAME}.{domain}")
            if found is None:
                raise CannotLook(f"nobody could be asked for {dmarc.NAME}.{domain}")
            if records := [text for text in found if dmarc.is_dmarc(text)]:
                return dmarc.tags(records[0]) if len(records) == 1 else None
        return None


MESSAGE: Book[MessageFacts] = Book("message")


@MESSAGE.check(
    "dkim",
    "Its DKIM signature holds, with the key that the zone has",
    cause="The key's record is missing or another one, or something on the way changed the message.",
    remedy="tailwart doctor --only server.dkim-served; a smarthost must not add a footer or rewrite headers",
)
def _(facts: MessageFacts) -> Found:
    own = [each for each in facts.signatures if facts.aligned(each.domain, strict=False)]
    if not own:
        yield f"no signature of {facts.author}"
    yield from (f"{each.selector} of {each.domain}: {each.problem}" for each in own if each.problem)


@MESSAGE.check(
    "spf",
    "SPF allows the address that it left from",
    cause="The smarthost sends from an address that SMARTHOST_SPF does not name, or the zone has an older record.",
    remedy="name what the smarthost's operator says in SMARTHOST_SPF, then pyinfra inventory.py deploy.py --limit dns",
)
def _(facts: MessageFacts) -> Found:
    assert facts.author
    if facts.spf != "pass":
        yield f"{facts.client} for {facts.sender}: {facts.spf}"


@MESSAGE.check(
    "dmarc",
    "DMARC passes: DKIM or SPF speaks for the domain in From",
    cause="Receivers that follow DMARC put the message aside, or refuse it.",
    remedy="put right what fails above; without a record: pyinfra inventory.py deploy.py --limit dns",
)
def _(facts: MessageFacts) -> Found:
    tags = facts.policy()
    if tags is None:
        yield f"{facts.author} has no DMARC record, or several"
        return
    strict = {name: tags.get(name, "r").lower() == "s" for name in ("adkim", "aspf")}
    holding = [each.domain for each in facts.signatures if not each.problem]
    if any(facts.aligned(domain, strict=strict["adkim"]) for domain in holding):
        return
    if not (facts.spf == "pass" and facts.aligned(facts.sender, strict=strict["aspf"])):
        signed = ", ".join(holding) or "none holds"
        yield f"From is {facts.author}; DKIM: {signed}; SPF: {facts.spf} for {facts.sender}; p={tags.get('p', 'none')}"


def judge(environment: Environment, raw: bytes, chosen: Callable[[Check], bool]) -> Outcome:
    """The results for one message; the authoritative servers are asked for our names, a resolver for others."""
    began, started = datetime.now(UTC), time.monotonic()
    facts = MessageFacts(environment, re.sub(rb"\AFrom [^\n]*\n", b"", raw), _names(environment).texts)
    results = tuple(MESSAGE.run(facts, "message", chosen))
    return Outcome(results, began, time.monotonic() - started)


def _names(environment: Environment) -> Names:
    through = None if environment.offline else resolving.resolver(None)
    servers = {}
    for domain in environment.domains:
        known = environment.dns_nameservers or (resolving.nameservers(through, domain) if through else ())
        servers[domain], _ = locate(known)
    return Names(servers, through)


def _problem(whole: bytes, number: int, keys: list[str]) -> str:
    if not keys:
        return "its key has no record"
    if len(keys) > 1:
        return f"its name has {len(keys)} TXT records"

    def key(_name: bytes, timeout: int = 0) -> bytes:  # noqa: ARG001 - as the library calls it
        return keys[0].encode()

    try:
        good = dkim.DKIM(whole).verify(idx=number, dnsfunc=key)
    except dkim.DKIMException as error:
        return str(error) or type(error).__name__
    return "" if good else "the signature is of another message, or by another key"


def _domain(text: str) -> str:
    return parseaddr(text)[1].rpartition("@")[2].lower().rstrip(".")


def _text(rdata: str) -> str:
    return "".join(re.sub(r"\\(.)", r"\1", part) for part in _TEXTS.findall(rdata)) or rdata
