"""The container network, what is served on :443, and what the verification needs."""

from __future__ import annotations

from ipaddress import IPv6Network

from pydantic import BaseModel, SecretStr

from tailwart import fields as v
from tailwart.fields import key as _key
from tailwart.webpaths import VHOST

OUTBOUND = (
    "gmail-smtp-in.l.google.com:25",
    "mx-aol.mail.gm0.yahoodns.net:25",
    "smtp.gmail.com:465",
    "smtp.gmail.com:587",
    "smtp.sendgrid.net:2525",
    "www.google.com:443",
)
"""Every port on which mail leaves somewhere, and one that is open where mail is not."""


class NetworksSettings(BaseModel):
    """The container network, what is served on :443, and what the verification needs."""

    mailbox_ula: v.Ula = _key(
        "Network",
        "IPv6 prefix of the mailbox's container network; it needs egress only (lesson 9).",
        "fd00:7a17:600d::/64",
        IPv6Network("fd00:7a17:600d::/64"),
    )
    jmap_vhost: v.Boolean = _key(
        "Network", "https://mail.DOMAIN leads to the mail server, through every edge that owns :443.", "false", False
    )
    jmap_vhost_serves: v.VhostPaths = _key(
        "Network",
        f"What it serves: {', '.join(VHOST)} (account: the account pages, which need jmap and oauth as well). "
        "Administration and metrics are never among it.",
        "jmap,dav",
        tuple(VHOST),
    )
    offline: v.Boolean = _key(
        "Network", "Switch off what needs the internet (spam services, logs to Tailscale): for a lab.", "false", False
    )

    metrics_password: SecretStr | None = _key(
        "Verification",
        "Password with which Prometheus reads the metrics, as user `metrics`, where mailbox_metrics is True.",
        "change-me-metrics",
        None,
        secret=True,
    )
    probe_recipient: str | None = _key(
        "Verification",
        "An outside address that `make verify` may send a message to; empty: the way out is not tried.",
        "you@example.com",
        None,
    )
    probe_ipv6: v.SocketV6 = _key(
        "Verification",
        "An IPv6 address and port on the internet that the mailbox's namespace must be able to reach (lesson 9).",
        "[2620:fe::fe]:443",
        "[2620:fe::fe]:443",
    )
    probe_outbound: v.Sockets = _key(
        "Verification",
        "Servers of others, host:port, that `tailwart doctor --deep` connects to from the mailbox's namespace; it says "
        "nothing to them. A port that none of its servers answers on counts as blocked (lesson 10).",
        "gmail-smtp-in.l.google.com:25,www.google.com:443",
        OUTBOUND,
    )
