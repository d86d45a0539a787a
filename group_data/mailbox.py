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
"""

from __future__ import annotations

from typing import Any

mailbox_accounts: list[dict[str, Any]] = []
mailbox_groups: list[dict[str, Any]] = []
mailbox_lists: list[dict[str, Any]] = []

# Which address family direct delivery prefers: v4ThenV6, v6ThenV4, v4Only, v6Only. `v4Only` helps where the mailbox
# has no IPv6 egress (lesson 8). Without effect behind a smarthost.
mailbox_ip_lookup = "v4ThenV6"

# Prometheus metrics at http://STALWART_MAGIC_NAME:8080/metrics/prometheus, for the tailnet only.
mailbox_metrics = False

# True allows the blob store to move (S3_ENDPOINT, S3_BUCKET), and accepts that mail already stored becomes unreadable.
mailbox_blob_store_may_move = False
