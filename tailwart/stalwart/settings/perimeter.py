"""What answers from outside, when an address is banned, and who reads the metrics.

The endpoint rule of `x:Http` is evaluated at each request. It holds for the listener `https`, which edges pass
connections to; 8080 is for the tailnet and is not limited by it. The server lets 127.0.0.0/8 and ::1 pass whatever the
rule says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tailwart.environment import Environment
from tailwart.mailbox import names
from tailwart.network import HTTPS
from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.settings.inputs import Ban
from tailwart.webpaths import PUBLIC, Paths, of

METRICS_USER = "metrics"
"""The user name with which Prometheus signs in; the password is METRICS_PASSWORD."""
METRICS_PATH = "/metrics/prometheus"
"""Where they are, on every HTTP listener that does not close it."""

_BAN_FIELDS = {
    "login": ("authBanRate", "authBanPeriod"),
    "recipient": ("abuseBanRate", "abuseBanPeriod"),
    "loiter": ("loiterBanRate", "loiterBanPeriod"),
    "scan": ("scanBanRate", "scanBanPeriod"),
}


def http(env: Environment) -> dict[str, Any]:
    """The managed properties of `x:Http`."""
    return {
        "allowedEndpoints": endpoint_rule(env.mail_host, env.jmap_vhost_serves if env.jmap_vhost else ()),
        # It would be believed of everybody: X-Forwarded-For: 127.0.0.1 would open everything and ban nobody. The
        # client's address comes with the PROXY header, which only the edges can send.
        "useXForwarded": False,
    }


def endpoint_rule(host: str, serves: Iterable[str] = ()) -> dict[str, Any]:
    """The `x:Expression`: 404 for what is not public. ``serves``: names of `webpaths.VHOST`, open at ``host``."""
    opened = _any_of(PUBLIC)
    if served := tuple(serves):
        opened += f" || (contains(headers, 'host: {host}') && ({_any_of(of(served))}))"
    return {"match": ({"if": f"listener == '{HTTPS.name}' && !({opened})", "then": "404"},), "else": "200"}


def _any_of(paths: Paths) -> str:
    # Quotes need no care: no path of the table and no host name holds one.
    exact = ", ".join(f"'{path}'" for path in paths.exact)
    conditions = [f"contains([{exact}], path)"] if exact else []
    conditions += [f"starts_with(path, '{prefix}')" for prefix in paths.below]
    conditions += [f"starts_with(to_lowercase(path), '{prefix}')" for prefix in paths.folded]
    return " || ".join(conditions)


def security(bans: Iterable[Ban]) -> dict[str, Any]:
    """The managed properties of `x:Security`. Times are milliseconds there; no period would be a ban for ever."""
    fields: dict[str, Any] = {}
    for ban in bans:
        rate, period = _BAN_FIELDS[ban.reason]
        fields |= {rate: {"count": ban.failures, "period": ban.within_seconds * 1000}, period: ban.for_seconds * 1000}
    return fields


def prometheus(enabled: bool) -> dict[str, Any]:
    """`prometheus` of `x:Metrics`. Without a login of their own the metrics are open to everybody."""
    if not enabled:
        return {TYPE: "Disabled"}
    secret = {TYPE: "EnvironmentVariable", "variableName": names.ENV_METRICS}
    return {TYPE: "Enabled", "authUsername": METRICS_USER, "authSecret": secret}
