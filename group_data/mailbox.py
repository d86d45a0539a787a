"""What the mail server holds besides the keys of `.env`. Everything here is optional; `.env` alone is a whole server.

    mailbox_accounts = [
        {"address": "carol@example.net", "aliases": ["info@example.net"], "quota": 5 * 1024**3},
        {"address": "dave", "password": "…", "description": "Dave", "admin": False},
    ]
    mailbox_groups = [{"address": "office", "members": ["alice", "dave"], "aliases": ["team"]}]
    mailbox_lists = [{"address": "news", "recipients": ["alice", "friend@example.com"]}]

A bare name belongs to DOMAIN; other domains are those of EXTRA_DOMAINS. An account without a password is created
without one: `tailwart account passwd` sets it. An account, group or list that is removed from here stays on the server,
with its mail: plans list it as "unmanaged" from then on.

What people set most has names of its own. docs/recipes.md has, for each task, the lines to paste, what you will see,
and how to take it back. A name that is not set manages nothing.

    mailbox_domains       catch-all, sub-addressing, where others send their reports
    mailbox_spam          thresholds, trusted and blocked senders, DNS blocklists
    mailbox_limits        sizes of messages and mailboxes, recipients
    mailbox_retention     when trash, junk and reports are removed
    mailbox_system_sieve  Sieve scripts that the server runs for every message
    mailbox_user_sieve    Sieve scripts that people include in their own
    mailbox_sign_in       from where a password counts, how many app passwords
    mailbox_submission    who may send as whom
    mailbox_rates         how much may be sent, and received
    mailbox_webhooks      whom the server tells what happens
    mailbox_directory     accounts of LDAP or OpenID Connect
    mailbox_encryption    encryption at rest with people's own keys
    mailbox_search        full-text search
    mailbox_sharing       what people may share, and with whom
    mailbox_tls           lowest TLS version, ciphers
    mailbox_mta_sts       the MTA-STS policy: testing, enforce
    mailbox_reports       DMARC and TLS reports to others, and from others
    mailbox_resolver      whom the server asks for names
"""

from __future__ import annotations

from typing import Any

mailbox_accounts: list[dict[str, Any]] = []
mailbox_groups: list[dict[str, Any]] = []
mailbox_lists: list[dict[str, Any]] = []

# Which address family direct delivery prefers: v4ThenV6, v6ThenV4, v4Only, v6Only. `v4Only` helps where the mailbox
# has no IPv6 egress (lesson 8). Without effect behind a smarthost.
mailbox_ip_lookup = "v4ThenV6"

# Prometheus metrics at http://STALWART_MAGIC_NAME:8080/metrics/prometheus, for the tailnet only, as user `metrics` with
# the password METRICS_PASSWORD of .env.
mailbox_metrics = False

# When an address is banned, and for how long (docs/hardening.md). Without an entry: 100 refused logins, 35 unknown
# recipients, 150 idle connections or 30 port scans within a day; for an hour, port scans for a day.
#     mailbox_bans = {"login": {"failures": 20, "within": "1d", "for": "15m"}}
mailbox_bans: dict[str, dict[str, Any]] = {}

# Any other object of the server, in its own terms: kinds, in them objects by name, in them fields (docs/objects.md).
# `tailwart settings describe` lists kinds and fields; secrets are names of .env keys that begin with SECRET_.
#     stalwart_objects = {
#         "Email": {"maxMessageSize": "50M"},
#         "WebHook": {"https://example.net/hook": {"signatureKey": {"env": "SECRET_HOOK"}}},
#     }
stalwart_objects: dict[str, Any] = {}

# A data store that the deploy may leave behind (STALWART_STORE, STALWART_DB_…), with accounts and mail in it, by the
# name that its refusal shows. It counts for that store alone. `tailwart store move` takes everything along instead.
mailbox_leaves_store = ""

# True allows the blob store to move (S3_ENDPOINT, S3_BUCKET), and accepts that mail already stored becomes unreadable.
mailbox_blob_store_may_move = False
