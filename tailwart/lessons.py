"""The seventeen ways in which this system has lost mail; every check that fails names the one it guards against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lesson:
    """One trap: what is seen, why it happens, and how to get out of it."""

    number: int
    title: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"lesson {self.number}: {self.title}\n  cause:  {self.cause}\n  remedy: {self.remedy}"


_ALL = (
    Lesson(
        1,
        "Stalwart started before the tailnet route to its database existed",
        "Table set-up failed; certificates and settings were written nowhere and the self-signed certificate stays.",
        "Start Postgres, check that the sidecar is healthy, run the mailbox role again.",
    ),
    Lesson(
        2,
        "DNS-01 is blocked by a dead provider key",
        "The key is wrong, revoked or bound to another address; a masked secret in the admin UI proves nothing.",
        "Make a new API key without an IP restriction, put it into .env, run the dns and mailbox roles again.",
    ),
    Lesson(
        3,
        "The auto-ban has hit an edge",
        "Bans apply to the PROXY header's address on mail ports and to the raw peer on 8080.",
        "Keep the tailnet ranges and every edge's address in the allow-list; a restart flushes bans.",
    ),
    Lesson(
        4,
        "A wildcard certificate cannot come by anything but DNS-01",
        "The ACME provider uses another challenge, or a second renewal task competes.",
        "Set ACME_DIRECTORY and DNS_PROVIDER, leave certificates to the deploy.",
    ),
    Lesson(
        5,
        "The names on :443 need SNI pass-through",
        "mta-sts, autoconfig and autodiscover do not reach Stalwart's own TLS.",
        "Run the edge and tailnet roles: SNI routes, and tcp:443 in the grant.",
    ),
    Lesson(
        6,
        "A tailnet address stands where a name belongs",
        "An ephemeral sidecar gets a new address whenever it registers again.",
        "Use full MagicDNS names in .env and group_data.",
    ),
    Lesson(
        7,
        "A certificate rate limit is near or reached",
        "Five failed validations an hour per host, five duplicates a week.",
        "Set ACME_STAGING=true for trials; wait.",
    ),
    Lesson(
        8,
        "IPv6 first, no route, no fall-back to IPv4",
        "A name with an AAAA record is dialled over IPv6 from a container without IPv6 egress: mail is stuck.",
        "Give the container IPv6 egress; write the smarthost as an IPv4 or tailnet address.",
    ),
    Lesson(
        9,
        "The host's IPv6 is no evidence of the container's",
        "The engine does not masquerade the container network's unique local prefix.",
        "Engine 27, or ip6tables in daemon.json: run the mailbox role; then check the host's own IPv6 forwarding.",
    ),
    Lesson(
        10,
        "The provider blocks outbound SMTP ports",
        "Ports 25, 465, 587 and 2525 are filtered on many hosts, 443 is open.",
        "Use a smarthost that is reached over the tailnet: SMARTHOST_ADDRESS.",
    ),
    Lesson(
        11,
        "The sidecar cannot initiate to the smarthost without a grant of its own",
        "The sidecar is its own tailnet node and the tailnet denies by default; its host has another identity.",
        "Run the tailnet role: it adds the grant from TAG_STALWART to TAG_MAIL, tcp:587.",
    ),
    Lesson(
        12,
        "A route or strategy was changed without a restart",
        "The route table is built once, at start.",
        "Run the mailbox role: it restarts Stalwart when a route, strategy or listener changed.",
    ),
    Lesson(
        13,
        "A DNS record vanished",
        "The provider or a hand did it: Stalwart only writes _acme-challenge and _validation-persist.",
        "Compare with the last snapshot in _backup/dns, run the dns role.",
    ),
    Lesson(
        14,
        "Two SPF records",
        "The DNS API keys records by name, type and value: writing a changed value adds a second record.",
        "Run the dns role: it puts the new one and deletes the old one.",
    ),
    Lesson(
        15,
        "An ed25519 DKIM signature beside the RSA one",
        "Large receivers fail messages that carry both.",
        "Run the mailbox role: RSA only; then the dns role, which removes the key's record.",
    ),
    Lesson(
        16,
        "Two Stalwarts on one store",
        "ACME orders, rate limits and bans are corrupted.",
        "Stop the other one; the check names its address.",
    ),
    Lesson(
        17,
        "Locked out",
        "The administrator's password is lost.",
        "tailwart recover",
    ),
)

LESSONS = {lesson.number: lesson for lesson in _ALL}
"""Lesson by number."""


def page() -> str:
    """`docs/lessons.md`: every lesson with its cause and remedy."""
    head = "# Lessons\n\nWhat has cost mail before: a failing check or error names the number.\n"
    return head + "".join(
        f"\n## {lesson.number}. {lesson.title}\n\n- Cause: {lesson.cause}\n- Remedy: {lesson.remedy}\n"
        for lesson in _ALL
    )
