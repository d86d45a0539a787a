"""One store under two versions, there and back. A real binary is one version: the recordings have two."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.installation import PASSWORD, WITH_ADMIN, install
from tests.contract.server import RECOVERY, Server
from tests.contract.versions import under_test

pytestmark = pytest.mark.skipif(len(under_test()) < 2, reason="not part of this repository: a second server binary")
_S3: dict[str, Any] = {
    "@type": "S3",
    "bucket": "stalwart-mail",
    "region": {"@type": "Custom", "customEndpoint": "http://127.0.0.1:3900", "customRegion": "garage"},
    "secretKey": {"@type": "EnvironmentVariable", "variableName": "STALWART_S3_SECRET"},
}


def _set(server: Server, access_key: Any) -> Any:
    value = {"update": {"singleton": {**_S3, "accessKey": access_key}}}
    ((_, body),) = server.call(RECOVERY, ("x:BlobStore/set", value))
    return body


def _get(server: Server) -> tuple[str, Any]:
    ((name, body),) = server.call(RECOVERY, ("x:BlobStore/get", {"ids": None}))
    return name, body


def test_an_access_key_survives_the_way_up_and_only_as_a_value_the_way_back(own: Server) -> None:
    new, old = under_test()
    own.version = old
    with own.running(WITH_ADMIN):
        install(own)
        assert "updated" in _set(own, "AK")
    own.version = new
    with own.running(WITH_ADMIN):
        assert _get(own)[1]["list"][0]["accessKey"] == {"@type": "Value", "value": "AK"}
        assert own.http("GET", "/jmap/session", ("alice@example.org", PASSWORD)).status == 200
        assert "updated" in _set(own, {"@type": "Value", "value": "BK"})
    own.version = old
    with own.running(WITH_ADMIN):
        assert _get(own)[1]["list"][0]["accessKey"] == "BK"
    own.version = new
    with own.running(WITH_ADMIN):
        assert "updated" in _set(own, {"@type": "EnvironmentVariable", "variableName": "STALWART_S3_ACCESS"})
    own.version = old
    with own.running(WITH_ADMIN):
        name, body = _get(own)
        assert (name, body["type"]) == ("error", "serverUnavailable")
        assert "(registry.deserialization-error)" in own.log.read_text()
    own.version = new
    with own.running(WITH_ADMIN):
        assert _get(own)[1]["list"][0]["accessKey"]["variableName"] == "STALWART_S3_ACCESS"
