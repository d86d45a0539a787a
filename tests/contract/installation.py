"""A small installation on the server under test: domain, two accounts, submission and IMAP listeners, trust."""

from __future__ import annotations

from typing import Any

from argon2 import PasswordHasher

from tests.contract.server import RECOVERY, Server
from tests.contract.wire import TRUSTED
from tests.waiting import until

PASSWORD = "Battery-Staple-7"
_HASHER = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
WITH_ADMIN = {"STALWART_RECOVERY_ADMIN": ":".join(RECOVERY)}


def account(name: str, domain: str) -> dict[str, Any]:
    credential = {"@type": "Password", "secret": _HASHER.hash(PASSWORD)}
    return {"@type": "User", "name": name, "domainId": domain, "credentials": {"0": credential}}


def listener(name: str, port: int, protocol: str) -> dict[str, Any]:
    trust = {f"{TRUSTED}/32": True}
    return {"name": name, "bind": {f"[::]:{port}": True}, "protocol": protocol, "overrideProxyTrustedNetworks": trust}


def install(server: Server, *more: tuple[str, dict[str, Any]]) -> str:
    """Settings for example.org, written to a server that runs with the recovery login; the domain's id."""
    dkim = {"@type": "Automatic", "algorithms": {"Dkim1RsaSha256": True}}
    ((_, made),) = server.call(
        RECOVERY, ("x:Domain/set", {"create": {"d": {"name": "example.org", "dkimManagement": dkim}}})
    )
    domain: str = made["created"]["d"]["id"]
    (_, listeners), (_, throttles) = server.call(
        RECOVERY,
        ("x:NetworkListener/get", {"ids": None, "properties": ["name"]}),
        ("x:MtaInboundThrottle/get", {"ids": None}),
    )
    fronted = [each["id"] for each in listeners["list"] if each["name"] in {"smtp", "submissions", "imaps"}]
    trust = {"overrideProxyTrustedNetworks": {f"{TRUSTED}/32": True}}
    submission, imap = listener("submission", 587, "smtp"), listener("imap", 143, "imap")
    system = {"defaultHostname": "mail.example.org", "defaultDomainId": domain}
    answers = server.call(
        RECOVERY,
        ("x:Account/set", {"create": {name: account(name, domain) for name in ("alice", "bob")}}),
        ("x:SystemSettings/set", {"update": {"singleton": system}}),
        ("x:NetworkListener/set", {"update": dict.fromkeys(fronted, trust)}),
        ("x:NetworkListener/set", {"create": {"s": submission, "i": imap}}),
        # Tests send faster from one address than the five messages a second that are allowed by default.
        ("x:MtaInboundThrottle/set", {"update": {each["id"]: {"enable": False} for each in throttles["list"]}}),
        ("x:Tracer/set", {"create": {"t": {"@type": "Stdout", "level": "info", "enable": True, "ansi": False}}}),
        ("x:SpamPyzor/set", {"update": {"singleton": {"enable": False}}}),
        *more,
    )  # fmt: skip
    refused = [body for _, body in answers if {"notCreated", "notUpdated", "type"} & body.keys()]
    assert not refused, refused
    # A server that ends while it makes the key leaves the task locked for an hour.
    until(lambda: server.call(RECOVERY, ("x:DkimSignature/get", {"ids": None}))[0][1]["list"] or None, "the DKIM key")
    return domain
