"""A scripted server in memory: as much of the recorded contract as the pure parts of the settings plane need.

The stand-in and the real server are tested elsewhere. Objects are kept as the server returns them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.kinds import KINDS
from tailwart.stalwart.protocol.transport import Response

Refusal = Callable[[str, dict[str, Any]], dict[str, Any] | None]

DEFAULTS: dict[str, dict[str, Any]] = {
    "NetworkListener": {"overrideProxyTrustedNetworks": {}, "useTls": True, "tlsImplicit": False},
    "Account": {"aliases": {}, "quotas": {}, "roles": {"@type": "User"}, "memberGroupIds": {}, "credentials": {}},
    "Domain": {"isEnabled": True},
}
IN_SINGLETONS: dict[str, dict[str, Any]] = {
    "SystemSettings": {"defaultHostname": "", "defaultDomainId": "p333333333333", "proxyTrustedNetworks": {}},
    "BlobStore": {"@type": "Default"},
    "InMemoryStore": {"@type": "Default"},
    "MtaOutboundStrategy": {
        "route": {"match": {"0": {"if": "is_local_domain(rcpt_domain)", "then": "'local'"}}, "else": "'mx'"}
    },
    "DataStore": {"@type": "RocksDb"},
    "Metrics": {"prometheus": {"@type": "Disabled"}},
    "Http": {"allowedEndpoints": {"match": {}, "else": "200"}, "useXForwarded": False, "enableHsts": False},
    "Security": {
        "authBanRate": {"count": 100, "period": 86400000},
        "authBanPeriod": None,
        "abuseBanRate": {"count": 35, "period": 86400000},
        "abuseBanPeriod": None,
        "loiterBanRate": {"count": 150, "period": 86400000},
        "loiterBanPeriod": None,
        "scanBanRate": {"count": 30, "period": 86400000},
        "scanBanPeriod": None,
        "scanBanPaths": {"*.php*": True},
    },
    "SpamPyzor": {"enable": True},
}


def listener(name: str, port: int, protocol: str, *, implicit: bool = False, tls: bool = True) -> dict[str, Any]:
    return {
        "name": name,
        "bind": {f"[::]:{port}": True},
        "protocol": protocol,
        "tlsImplicit": implicit,
        "useTls": tls,
        "overrideProxyTrustedNetworks": {},
    }


AFTER_FIRST_START = {
    "NetworkListener": [
        listener("smtp", 25, "smtp"),
        listener("submissions", 465, "smtp", implicit=True),
        listener("imaps", 993, "imap", implicit=True),
        listener("pop3s", 995, "pop3", implicit=True),
        listener("managesieve", 4190, "manageSieve"),
        listener("https", 443, "http", implicit=True),
        listener("http", 8080, "http", tls=False),
    ],
    "MtaRoute": [
        {"@type": "Mx", "name": "mx", "ipLookupStrategy": "v4ThenV6"},
        {"@type": "Local", "name": "local"},
    ],
    "Tracer": [{"@type": "Log", "path": "/var/log/stalwart", "enable": True}],
}


class ScriptedServer:
    """`Transport` onto a dictionary; `requests` counts round trips, `refuse` may turn a write into an error."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, dict[str, Any]]] = {
            kind: {} for kind in (*KINDS, "Action", "Task", "QueuedMessage")
        }
        self.objects |= {name: {SINGLETON: {}} for name, kind in KINDS.items() if kind.singleton and kind.on_demand}
        self.objects["ApiKey"] = {}
        self.objects |= {kind: {SINGLETON: copy.deepcopy(values)} for kind, values in IN_SINGLETONS.items()}
        self.requests = 0
        self.writes: list[tuple[str, str, dict[str, Any]]] = []
        self.refuse: Refusal = lambda kind, arguments: None
        self.paused = False
        # Called with the name of every method: what else happens on the server meanwhile.
        self.meanwhile: Callable[[str], None] = lambda name: None
        self._ids = 0
        for kind, items in AFTER_FIRST_START.items():
            for item in items:
                self.add(kind, item)

    def add(self, kind: str, item: dict[str, Any]) -> str:
        self._ids += 1
        identifier = f"i{self._ids}"
        self.objects[kind][identifier] = {**copy.deepcopy(DEFAULTS.get(kind, {})), **copy.deepcopy(item)}
        return identifier

    def find(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The one object with these values; with its id."""
        (found,) = [
            {**item, "id": identifier}
            for identifier, item in self.objects[kind].items()
            if all(item.get(name) == value for name, value in fields.items())
        ]
        return found

    def exchange(self, bodies: Sequence[str]) -> list[Response]:
        self.requests += len(bodies)
        return [Response(200, json.dumps(self._answer(json.loads(body)))) for body in bodies]

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        calls = request["methodCalls"]
        assert len(calls) <= 16
        answered: list[list[Any]] = []
        for name, arguments, number in calls:
            if "#ids" in arguments:
                before = arguments.pop("#ids")
                (found,) = (body for _, body, number in answered if number == before["resultOf"])
                arguments["ids"] = found["ids"]
            answered.append([name, self._call(name, arguments), number])
        return {"methodResponses": answered}

    def _call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.meanwhile(name)
        kind, _, method = name.removeprefix("x:").partition("/")
        if method == "get":
            return self._get(kind, arguments["ids"])
        if method == "query":
            wanted = (arguments.get("filter") or {}).items()
            ids = sorted(
                identifier
                for identifier, item in self.objects[kind].items()
                if all(item.get(name) == value for name, value in wanted)
            )
            after = ids.index(arguments["anchor"]) + 1 if "anchor" in arguments else 0
            total = {"total": len(ids)} if arguments.get("calculateTotal") else {}
            return {"ids": ids[after : after + arguments["limit"]], **total}
        return self._set(kind, arguments)

    def _get(self, kind: str, ids: list[str] | None) -> dict[str, Any]:
        asked = sorted(self.objects[kind])[:500] if ids is None else [id for id in ids if id in self.objects[kind]]
        return {"list": [self._shown(kind, identifier) for identifier in asked], "notFound": []}

    def _shown(self, kind: str, identifier: str) -> dict[str, Any]:
        item = {**copy.deepcopy(self.objects[kind][identifier]), "id": identifier}
        if kind in ("Account", "MailingList"):
            item["emailAddress"] = f"{item['name']}@{self.objects['Domain'][item['domainId']]['name']}"
        for credential in item.get("credentials", {}).values():
            credential["secret"] = "****"
        return item

    def _set(self, kind: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for token, document in (arguments.get("create") or {}).items():
            if error := self.refuse(kind, document):
                answer.setdefault("notCreated", {})[token] = error
                continue
            self.writes.append(("create", kind, document))
            if kind == "Action" and document["@type"].endswith("MtaQueue"):
                self.paused = document["@type"] == "PauseMtaQueue"
            made = {"id": self.add(kind, document)}
            if kind == "ApiKey":
                made["secret"] = f"API_{made['id']}"
            answer.setdefault("created", {})[token] = made
        for identifier, patch in (arguments.get("update") or {}).items():
            if error := self.refuse(kind, patch):
                answer.setdefault("notUpdated", {})[identifier] = error
                continue
            self.writes.append(("update", kind, patch))
            self._patch(kind, identifier, patch)
            answer.setdefault("updated", {})[identifier] = None
        for identifier in arguments.get("destroy") or ():
            self.writes.append(("destroy", kind, {"id": identifier}))
            del self.objects[kind][identifier]
            answer.setdefault("destroyed", []).append(identifier)
        return answer

    def _patch(self, kind: str, identifier: str, patch: dict[str, Any]) -> None:
        item = self.objects[kind][identifier]
        if "@type" in patch and patch["@type"] != item.get("@type"):
            item.clear()
        for path, value in patch.items():
            *parents, last = path.split("/")
            target = item
            for parent in parents:
                target = target.setdefault(parent, {})
            if value is None and parents:
                target.pop(last, None)
            else:
                target[last] = value
