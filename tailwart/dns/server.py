"""The mail server asked over its host's SSH connection, so that this machine need not be on the tailnet."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from tailwart.dns.source import ServerFacts, ZoneFileSource
from tailwart.errors import TailwartError
from tailwart.runner import Runner
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.protocol.jmap import Call
from tailwart.stalwart.protocol.transport import Transport

_READ = (
    Call("Domain", "get", {"ids": None, "properties": ["id", "name", "dnsZoneFile"]}),
    Call("AcmeProvider", "get", {"ids": None, "properties": ["id", "directory", "accountUri"]}),
)


_DKIM_WAIT = 20
"""Seconds: a domain's key is made some seconds after the first normal start."""


def over_ssh(run: Runner, domains: tuple[str, ...], directory: str | None) -> ZoneFileSource:
    """A source that asks in the mail server's container, with the login that is stored on its host."""
    return over(ContainerTransport(run, stored_login(), seconds=20), domains, directory)


def over(
    transport: Transport, domains: tuple[str, ...], directory: str | None, pause: Callable[[float], None] = time.sleep
) -> ZoneFileSource:
    """A source over any transport; ``directory`` is the ACME directory whose account counts."""

    def source() -> ServerFacts:
        try:
            domains_answer, acme = Client(transport).call(_READ)
            for _ in range(_DKIM_WAIT):
                if not any(_lacks_key(item, domains) for item in domains_answer.objects):
                    break
                pause(1)
                domains_answer, acme = Client(transport).call(_READ)
        except (TailwartError, TimeoutError) as error:
            return ServerFacts(missing=(f"the mail server cannot be asked: {_reason(error)}",))
        files = {
            str(item.get("name")): str(item["dnsZoneFile"])
            for item in domains_answer.objects
            if item.get("dnsZoneFile")
        }
        missing = tuple(f"the mail server has no domain {name} yet" for name in domains if name not in files)
        missing += tuple(
            f"DKIM of {item.get('name')}: the mail server has made no key yet; run again"
            for item in domains_answer.objects
            if _lacks_key(item, domains)
        )
        accounts = [
            str(item["accountUri"])
            for item in acme.objects
            if item.get("accountUri") and (directory is None or item.get("directory") == directory)
        ]
        return ServerFacts(
            {name: files[name] for name in domains if name in files}, next(iter(accounts), None), missing
        )

    return source


def _lacks_key(item: Mapping[str, Any], domains: tuple[str, ...]) -> bool:
    text = item.get("dnsZoneFile")
    return item.get("name") in domains and bool(text) and "._domainkey" not in str(text)


def _reason(error: TailwartError | TimeoutError) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return f"{error.what} ({error.seen})" if error.seen else error.what
