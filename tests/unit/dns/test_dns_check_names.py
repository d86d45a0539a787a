"""`dns check` at names of others: CAA, MX, report addresses, blocklists, reverse names; on real name servers."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import dns.name
import dns.resolver
import pytest

from tailwart.dns.authority import Server
from tailwart.dns.check import blocklists, caa, identity, resolving, targets
from tailwart.dns.check.findings import Finding, State, exit_code
from tailwart.dns.check.names import Names
from tailwart.providers.record import record
from tests.daemons import free_port
from tests.unit.dns.names import ADDRESS, Served
from tests.unit.dns.test_dns_check import certificate
from tests.unit.dns.tls_hosts import greeting_host
from tests.unit.dns.world import server, serving_texts, zone_file

CA, ACCOUNT = "letsencrypt.org", "https://acme.example/acct/1"
HERE = ip_address("127.0.0.1")

ZONES = {
    "test": zone_file("""\
@ NS ns
ns A 127.0.0.1
@ CAA 0 issue "above.example"
"""),
    "right.test": zone_file(f"""\
@ NS ns
ns A 127.0.0.1
@ CAA 0 issue "{CA}; accounturi={ACCOUNT}"
@ CAA 0 issuewild "{CA}; accounturi={ACCOUNT}; validationmethods=dns-01"
mail A 198.51.100.11
alias CNAME mail
inside A 10.0.0.7
empty TXT "nothing"
"""),
    "other-ca.test": zone_file('@ NS ns\nns A 127.0.0.1\n@ CAA 0 issue "other.example"\n'),
    "other-account.test": zone_file(f'@ NS ns\nns A 127.0.0.1\n@ CAA 0 issue "{CA}; accounturi={ACCOUNT}99"\n'),
    "no-wildcard.test": zone_file(f'@ NS ns\nns A 127.0.0.1\n@ CAA 0 issue "{CA}"\n@ CAA 0 issuewild ";"\n'),
    "by-http.test": zone_file(f'@ NS ns\nns A 127.0.0.1\n@ CAA 0 issue "{CA}; validationmethods=http-01"\n'),
    "critical.test": zone_file(f'@ NS ns\nns A 127.0.0.1\n@ CAA 0 issue "{CA}"\n@ CAA 128 tbs "unknown"\n'),
    "aliased.test": zone_file("@ NS ns\nns A 127.0.0.1\nmail CNAME other-ca.test.\n"),
    "climbs.test": zone_file("@ NS ns\nns A 127.0.0.1\n"),
    "reports.example": zone_file("""\
@ NS ns
ns A 127.0.0.1
right.test._report._dmarc TXT "v=DMARC1;"
"""),
    "silent-reports.example": zone_file("@ NS ns\nns A 127.0.0.1\n"),
    "127.in-addr.arpa": zone_file("@ NS ns.test.\n1.0.0 PTR mail.right.test.\n2.0.0 PTR host.provider.example.\n"),
    "list.example": zone_file("""\
@ NS ns.test.
2.0.0.127 A 127.0.0.2
11.100.51.198 A 127.0.0.4
11.100.51.198 TXT "spam seen"
"""),
    "v6list.example": zone_file(
        "@ NS ns.test.\n2.0.0.127 A 127.0.0.2\n" + "1.1.0.0" + ".0" * 20 + ".8.b.d.0.1.0.0.2 A 127.0.0.3\n"
    ),
    "dead-list.example": zone_file("@ NS ns.test.\n* A 127.0.0.2\n"),
    "empty-list.example": zone_file("@ NS ns.test.\n"),
    "refusing-list.example": zone_file("@ NS ns.test.\n* A 127.255.255.254\n"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving_texts(tmp_path_factory.mktemp("names"), ZONES) as served:
        yield served


@pytest.fixture
def through(world: Served) -> dns.resolver.Resolver:
    return resolving.resolver(server(world))


@pytest.fixture
def nobody() -> dns.resolver.Resolver:
    """A resolver that is not there."""
    made = resolving.resolver(Server("nobody", ADDRESS, free_port()))
    made.lifetime = 0.5
    return made


@pytest.fixture
def names(world: Served, through: dns.resolver.Resolver) -> Names:
    return Names({"right.test": [server(world)]}, through)


def caa_of(zone: str, names: Names) -> tuple[Finding, Finding]:
    single, wildcard = caa.check(zone, CA, ACCOUNT, names.caa)
    return single, wildcard


def test_caa_that_lets_our_account_issue_is_fine(names: Names) -> None:
    assert [finding.state for finding in caa_of("right.test", names)] == [State.OK, State.OK]


@pytest.mark.parametrize(
    ("zone", "single", "wildcard", "said"),
    [
        ("other-ca.test", True, True, "it allows other.example"),
        ("other-account.test", True, True, f"not {ACCOUNT}"),
        ("no-wildcard.test", False, True, "it allows nobody"),
        ("by-http.test", True, True, "dns-01"),
        ("critical.test", True, True, "critical property tbs"),
        ("climbs.test", True, True, "above.example"),
        ("aliased.test", True, True, "above.example"),
    ],
)
def test_caa_that_forbids_names_the_place_and_the_record(
    names: Names, zone: str, single: bool, wildcard: bool, said: str
) -> None:
    findings = caa_of(zone, names)
    assert [finding.fails for finding in findings] == [single, wildcard]
    assert said in findings[1].detail
    place = "test." if zone in {"climbs.test", "aliased.test"} else f"{zone}."
    assert findings[1].paste.startswith(f"{place} IN CAA 0 issue")
    assert ACCOUNT in findings[1].paste


def test_caa_behind_an_alias_of_ours_counts(world: Served, through: dns.resolver.Resolver) -> None:
    ours = Names({"aliased.test": [server(world)]}, through)
    found = caa.climb(dns.name.from_text("mail.aliased.test"), ours.caa)
    assert found is not None
    assert found[1] == ['0 issue "other.example"']


def test_caa_that_nobody_answers_is_not_known(nobody: dns.resolver.Resolver) -> None:
    findings = caa_of("right.test", Names({}, nobody))
    assert {finding.state for finding in findings} == {State.UNKNOWN}
    assert exit_code(findings) == 2


def mx(target: str, names: Names) -> Finding:
    (finding,) = targets.check_mx("right.test", [record("right.test", "@", "MX", f"10 {target}", 300)], names.texts)
    return finding


def test_an_mx_with_addresses_is_fine(names: Names) -> None:
    assert mx("mail.right.test.", names).state is State.OK


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("alias.right.test.", "leads to a CNAME"),
        ("inside.right.test.", "10.0.0.7"),
        ("empty.right.test.", "has no address"),
        ("missing.right.test.", "has no address"),
        (".", "takes no mail"),
    ],
)
def test_an_mx_that_loses_mail_fails(names: Names, target: str, said: str) -> None:
    finding = mx(target, names)
    assert finding.fails
    assert said in finding.detail
    assert finding.remedy


def test_an_mx_behind_a_cname_gives_the_records_to_paste(names: Names) -> None:
    assert mx("alias.right.test.", names).paste == "alias.right.test. IN A 198.51.100.11"


def test_an_mx_elsewhere_that_nobody_answers_for_is_not_known(nobody: dns.resolver.Resolver) -> None:
    assert mx("mail.other.example.", Names({}, nobody)).state is State.UNKNOWN


def reports(rua: str, names: Names) -> list[Finding]:
    entry = record("right.test", "_dmarc", "TXT", f"v=DMARC1; p=none; rua={rua}", 300)
    return list(targets.check_reports("right.test", [entry], names.texts))


def test_reports_to_a_domain_that_takes_them_are_fine_and_our_own_needs_nothing(names: Names) -> None:
    (finding,) = reports("mailto:a@reports.example,mailto:postmaster@right.test!10m", names)
    assert finding.state is State.OK


def test_reports_to_a_domain_that_does_not_take_them_give_its_record(names: Names) -> None:
    (finding,) = reports("mailto:a@silent-reports.example", names)
    assert finding.state is State.WRONG
    assert not finding.required
    assert finding.paste == 'right.test._report._dmarc.silent-reports.example. IN TXT "v=DMARC1"'


def test_reports_to_a_domain_that_nobody_answers_for_are_not_known(nobody: dns.resolver.Resolver) -> None:
    (finding,) = reports("mailto:a@reports.example", Names({}, nobody))
    assert finding.state is State.UNKNOWN


LISTED = [("edge-1", ip_address("198.51.100.11")), ("sender", ip_address("198.51.100.25"))]


def test_a_listed_address_is_named_with_its_reason_and_a_clean_one_is_fine(through: dns.resolver.Resolver) -> None:
    listed, clean = blocklists.check(LISTED, blocklists.chosen(["list.example"]), through)
    assert listed.state is State.WRONG
    assert not listed.required
    assert "127.0.0.4" in listed.detail
    assert "spam seen" in listed.detail
    assert clean.state is State.OK


def test_an_ipv6_address_is_looked_up_by_its_nibbles(through: dns.resolver.Resolver) -> None:
    address = ip_address("2001:db8::11")
    (finding,) = blocklists.check([("edge-1", address)], blocklists.chosen(["v6list.example"]), through)
    assert finding.state is State.WRONG


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("dead-list.example", "lists everything"),
        ("empty-list.example", "test entry"),
        ("refusing-list.example", "refuses this resolver"),
    ],
)
def test_a_list_that_says_nothing_is_not_known_rather_than_clean(
    through: dns.resolver.Resolver, zone: str, said: str
) -> None:
    (finding,) = blocklists.check(LISTED, blocklists.chosen([zone]), through)
    assert finding.state is State.UNKNOWN
    assert said in finding.detail
    assert finding.remedy, "its terms are named"


def test_a_list_that_does_not_answer_is_not_known(nobody: dns.resolver.Resolver) -> None:
    (finding,) = blocklists.check(LISTED, blocklists.chosen(["list.example"]), nobody)
    assert finding.state is State.UNKNOWN


def met(tmp_path: Path, through: dns.resolver.Resolver, name: str, certified: str, host: str = "127.0.0.1") -> Finding:
    pem, _ = certificate(tmp_path, certified)
    with greeting_host(name, pem) as port:
        (finding,) = identity.check([identity.Host("sender", HERE, sends=True, port=port)], through)
    return finding


def test_one_name_in_reverse_name_greeting_and_certificate_is_fine(
    tmp_path: Path, through: dns.resolver.Resolver
) -> None:
    finding = met(tmp_path, through, "mail.right.test", "*.right.test")
    assert finding.state is State.OK
    assert "mail.right.test" in finding.detail


def test_a_greeting_with_another_name_than_the_reverse_name_fails(
    tmp_path: Path, through: dns.resolver.Resolver
) -> None:
    finding = met(tmp_path, through, "mail.other.test", "mail.other.test")
    assert finding.fails
    assert "its reverse name is mail.right.test" in finding.detail
    assert finding.paste == "1.0.0.127.in-addr.arpa. IN PTR mail.other.test."


def test_a_certificate_for_another_name_is_told_but_loses_no_mail(
    tmp_path: Path, through: dns.resolver.Resolver
) -> None:
    finding = met(tmp_path, through, "mail.right.test", "www.right.test")
    assert finding.state is State.WRONG
    assert not finding.required
    assert "www.right.test" in finding.detail


def test_a_port_that_is_silent_or_a_resolver_that_is_leaves_it_not_known(
    tmp_path: Path, through: dns.resolver.Resolver, nobody: dns.resolver.Resolver
) -> None:
    (silent,) = identity.check([identity.Host("sender", HERE, sends=True, port=free_port())], through)
    assert (silent.state, silent.required) == (State.UNKNOWN, False)
    unanswered = met(tmp_path, nobody, "mail.right.test", "mail.right.test")
    assert (unanswered.state, unanswered.required) == (State.UNKNOWN, True)


def test_a_reverse_name_that_leads_elsewhere_or_is_missing_fails(world: Served, nobody: dns.resolver.Resolver) -> None:
    hosts = [("sender", ip_address(text), True) for text in ("127.0.0.2", "127.0.0.3")]
    elsewhere, missing = resolving.check_reverse(hosts, server(world))
    assert elsewhere.fails
    assert "host.provider.example. leads to nothing" in elsewhere.detail
    assert missing.fails
    assert "3.0.0.127.in-addr.arpa. IN PTR" in missing.remedy
    gone = Server("nobody", ADDRESS, nobody.port)
    (unanswered,) = resolving.check_reverse(hosts[:1], gone)
    assert unanswered.state is State.UNKNOWN
