"""One value for every key of the operator's terms: what tests hold against schemas and servers."""

from __future__ import annotations

from typing import Any

# Of nobody; a server parses it.
KEY = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawl7tRYJKwYBBAHaRw8BAQdAet0pIT8gkWzzxHGs9W7krRtpFV7pN5gwcO8Q
mzfLkkK0GWFsaWNlIDxhbGljZUBleGFtcGxlLm9yZz6IkAQTFggAOBYhBLzs4CE2
PZMAGU9KluX4+OUQg+7yBQJrCXu1AhsBBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheA
AAoJEOX4+OUQg+7yBb0A/Ai/1U5XlovwcHlJQQYvaENJZAwJ1e2h34B+SKtVrdGu
AP9YsgiqLDtrygmP8fWOnejjJqqFErlpqScK4srqzEwuB7g4BGsJe7USCisGAQQB
l1UBBQEBB0DNnTudId4NukbdcgJsPnGwwG7cjc0YyTAlSH+gjEeGeQMBCAeIeAQY
FggAIBYhBLzs4CE2PZMAGU9KluX4+OUQg+7yBQJrCXu1AhsMAAoJEOX4+OUQg+7y
4lcA/3zmjipCqlrIrgKNXTXsyhSUfZs5Hgax8lr6EgnMMf6oAQC40lVepFNAne3V
fRtPeYuVq1gAh/epqfGewhHDek+0Bg==
=IHL5
-----END PGP PUBLIC KEY BLOCK-----
"""

EVERY_TERM: dict[str, Any] = {
    "mailbox_domains": {
        "example.org": {"catch_all": "alice", "sub_addressing": "-", "reports_to": "alice"},
        "example.net": {"catch_all": None, "sub_addressing": False, "reports_to": None},
    },
    "mailbox_spam": {
        "enabled": True,
        "junk_above": 4,
        "reject_above": 12.5,
        "discard_above": None,
        "trust_contacts": False,
        "trust_replies": True,
        "greylist_for": "30d",
        "trusted_senders": ["bob@example.com", "partner.example"],
        "blocked_senders": ["spammer.example", "eve@example.com"],
        "blocklists": {
            "zen": {"zone": "zen.spamhaus.org", "score": 5, "answers": ["127.0.0.2", "127.0.0.3"]},
            "dbl": {"zone": "dbl.spamhaus.org", "checks": "domain", "score": 4},
            "uribl": {"zone": "multi.uribl.com", "checks": "url", "score": 2.5},
        },
    },
    "mailbox_limits": {"message": "40M", "mailbox": "5G", "recipients": 50, "messages_per_connection": 20},
    "mailbox_retention": {
        "trash_and_junk": "14d",
        "submissions": None,
        "received_reports": "7d",
        "invitations": "30d",
        "at": "03:30",
    },
    "mailbox_system_sieve": {"data": 'require ["editheader"];\naddheader "X-Seen" "yes";\n'},
    "mailbox_user_sieve": {"newsletters": "keep;\n"},
    "mailbox_sign_in": {"passwords_from": {"everyone": ["tailnet"], "alice": None}, "app_passwords": 10},
    "mailbox_submission": {"sender_check": True, "may_send_as_anyone": ["alice"]},
    "mailbox_rates": {
        "per_account": "200/1h",
        "to_domain": {"example.com": "20/1m"},
        "from_address": "10/1s",
        "from_domain": None,
    },
    "mailbox_webhooks": {
        "pager": {"url": "https://pager.example.net/hook", "events": ["attacks", "acme.error"], "login": True}
    },
    "mailbox_directory": {"ldap": {"url": "ldap://ldap.example.net:389", "base_dn": "dc=example,dc=net"}},
    "mailbox_encryption": {"alice": {"key": KEY, "appended": True}},
    "mailbox_search": {
        "mail": True,
        "mail_fields": ["subject", "body"],
        "contacts": False,
        "calendars": True,
        "languages": ["en_US", "de_DE"],
        "default_language": "de_DE",
    },
    "mailbox_sharing": {"find_people": True, "shares": 20},
    "mailbox_mta_sts": {"mode": "enforce", "keep": "14d"},
    "mailbox_tls": {"clients": "1.3", "servers": "1.2", "without_ciphers": ["TLS_AES_128_GCM_SHA256"]},
    "mailbox_reports": {
        "dmarc": "weekly",
        "tls": "never",
        "sender": "reports",
        "organisation": "Example Ltd",
        "analyse": ["postmaster"],
        "forward_analysed": False,
    },
    "mailbox_resolver": {"use": "own", "servers": ["udp://192.0.2.53", "tls://[2001:db8::53]:853"], "timeout": "2s"},
}

OIDC: dict[str, Any] = {
    "mailbox_directory": {"oidc": {"issuer": "https://sso.example.net/realms/mail", "username_domain": "example.org"}}
}
