"""Secrets that settings refer to, and the smarthost."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, Field, SecretStr

from tailwart import fields as v
from tailwart.fields import key as _key


class OutgoingSettings(BaseModel):
    """Secrets that settings refer to, and the smarthost."""

    ldap_bind_password: SecretStr | None = _key(
        "Secrets of settings",
        "Password of bind_dn in mailbox_directory (docs/recipes.md).",
        "change-me-ldap",
        None,
        secret=True,
    )
    webhook_key: SecretStr | None = _key(
        "Secrets of settings",
        "Key with which the requests of mailbox_webhooks are signed (HMAC-SHA256); empty: not signed.",
        "change-me-webhook-key",
        None,
        secret=True,
    )
    webhook_token: SecretStr | None = _key(
        "Secrets of settings",
        "Bearer token that webhooks with login send along.",
        "change-me-webhook-token",
        None,
        secret=True,
    )
    secrets: Mapping[v.SecretName, v.SecretLine] = Field(default_factory=dict, json_schema_extra={"secret": True})

    smarthost_address: v.Smarthost | None = _key(
        "Smarthost",
        "IPv4 or tailnet address of the smarthost, not a name (lesson 8); empty: direct delivery.",
        "100.64.0.10",
        None,
    )
    smarthost_port: v.Port = _key("Smarthost", "Its submission port.", "587", 587)
    smarthost_username: str | None = _key("Smarthost", "User name for SMTP AUTH.", "stalwart", None)
    smarthost_password: SecretStr | None = _key(
        "Smarthost", "Password for SMTP AUTH.", "change-me-smarthost", None, secret=True
    )
    smarthost_implicit_tls: v.Boolean = _key(
        "Smarthost", "TLS from the first byte (port 465) instead of STARTTLS.", "false", False
    )
    smarthost_allow_invalid_certs: v.Boolean = _key(
        "Smarthost",
        "Accept a certificate that does not verify: right for a smarthost addressed inside the tailnet.",
        "false",
        False,
    )

    smarthost_spf: v.Texts = _key(
        "Smarthost",
        "SPF terms for the smarthost's public addresses, when it is reached over the tailnet.",
        "include:spf.example.com,ip4:203.0.113.25",
        (),
    )
