"""What a receiver makes of an SPF record for one address (RFC 7208 §4 to §6), without macros. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from tailwart.dns import spf
from tailwart.dns.spfcost import MAX_LOOKUPS, Answers, Texts, target_of

Address = IPv4Address | IPv6Address

_RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}


class Unanswered(Exception):
    """A name that nobody could be asked for, or a term that depends on more than the address."""


class PermanentError(Exception):
    """A record that receivers refuse."""


def result(address: Address, domain: str, texts: Texts, answers: Answers) -> str:
    """`pass`, `fail`, `softfail`, `neutral`, `none` or `permerror`. Raises `Unanswered`."""
    try:
        return _Evaluation(address, texts, answers).of(domain)
    except PermanentError as problem:
        return f"permerror ({problem})"


class _Evaluation:
    def __init__(self, address: Address, texts: Texts, answers: Answers) -> None:
        self._address = address
        self._texts = texts
        self._answers = answers
        self._left = MAX_LOOKUPS

    def of(self, domain: str) -> str:
        records = [text for text in _known(self._texts(domain), domain) if spf.is_spf(text)]
        if not records:
            return "none"
        if len(records) > 1:
            raise PermanentError(f"{domain} has {len(records)} SPF records")
        if broken := spf.problems(records[0]):
            raise PermanentError(f"{domain}: {' '.join(broken)}")
        onward = ""
        for term in spf.terms(records[0]):
            kind = spf.name_of(term)
            if kind == "redirect":
                onward = target_of(term)
            elif "=" not in term.partition(":")[0].partition("/")[0] and self._matches(kind, term, domain):
                return _RESULTS[term[0] if term[0] in _RESULTS else "+"]
        if not onward:
            return "neutral"
        self._look_up()
        found = self.of(_plain(onward))
        if found == "none":
            raise PermanentError(f"{onward} has no SPF record")
        return found

    def _matches(self, kind: str, term: str, domain: str) -> bool:
        if kind == "all":
            return True
        if kind in {"ip4", "ip6"}:
            return self._within(term.partition(":")[2])
        self._look_up()
        target = _plain(target_of(term) or domain)
        if kind == "include":
            found = self.of(target)
            if found == "none":
                raise PermanentError(f"{target} has no SPF record")
            return found == "pass"
        if kind == "exists":
            return bool(_known(self._answers(target, "A"), target))
        if kind == "ptr":
            raise Unanswered(f"{term} is not followed")
        hosts = [target]
        if kind == "mx":
            hosts = [each.split()[-1].rstrip(".") for each in _known(self._answers(target, "MX"), target)]
        rtype, most = ("A", 32) if self._address.version == 4 else ("AAAA", 128)
        four, _, six = term.partition("//")
        length = six if self._address.version == 6 else four.partition("/")[2]
        found_addresses = [each for host in hosts for each in _known(self._answers(host, rtype), host)]
        return any(self._within(f"{each}/{length or most}") for each in found_addresses)

    def _within(self, text: str) -> bool:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            raise PermanentError(f"{text!r} is no network") from None
        return network.version == self._address.version and ip_address(self._address) in network

    def _look_up(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise PermanentError(f"more than {MAX_LOOKUPS} look-ups")


def _plain(name: str) -> str:
    if "%" in name:
        raise Unanswered(f"{name} depends on the message (a macro)")
    return name


def _known(answer: list[str] | None, name: str) -> list[str]:
    if answer is None:
        raise Unanswered(f"{name} could not be looked up")
    return answer
