"""Where message bodies are: a wrong endpoint felt from the next start on; export and import with a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contract.bucket import bucket
from tests.contract.installation import WITH_ADMIN, install
from tests.contract.server import RECOVERY, Server
from tests.contract.versions import number, under_test
from tests.contract.wire import STRANGER, Wire

_UNREACHABLE: dict[str, Any] = {
    "@type": "S3",
    "bucket": "stalwart-mail",
    "region": {"@type": "Custom", "customEndpoint": "http://127.0.0.1:3900", "customRegion": "garage"},
    "accessKey": {"@type": "Value", "value": "AK"} if number(under_test()[0]) >= (0, 16, 16) else "AK",
    "secretKey": {"@type": "EnvironmentVariable", "variableName": "STALWART_S3_SECRET"},
}


def _send(server: Server) -> str:
    with Wire(server.space, 25, source=STRANGER, timeout=60) as wire:
        wire.reply()
        for command in ("EHLO client.example.net", "MAIL FROM:<bob@example.net>", "RCPT TO:<alice@example.org>"):
            assert wire.say(command).startswith("250")
        wire.say("DATA")
        return wire.say("From: bob@example.net\r\nSubject: body\r\n\r\nhello\r\n.")


def test_a_wrong_endpoint_is_accepted_and_blocks_bodies_from_the_restart_on(own: Server) -> None:
    reload = ("x:Action/set", {"create": {"a": {"@type": "ReloadSettings"}}})
    with own.running(WITH_ADMIN):
        install(own)
        ((_, body),) = own.call(RECOVERY, ("x:BlobStore/set", {"update": {"singleton": _UNREACHABLE}}), reload)[:1]
        assert body["updated"] == {"singleton": None}
        assert _send(own).startswith("250 ")
    with own.running(WITH_ADMIN):
        assert _send(own).startswith("451 4.3.5 ")
        own.call(RECOVERY, ("x:BlobStore/set", {"update": {"singleton": {"@type": "Default"}}}), reload)
        assert _send(own).startswith("451 4.3.5 ")
    with own.running(WITH_ADMIN):
        assert _send(own).startswith("250 ")


def _bodies(exported: Path) -> bytes:
    return (exported / "subspace_t").read_bytes()


def test_bodies_are_exported_from_where_they_are_and_imported_to_where_the_store_says(
    own: Server, tmp_path: Path
) -> None:
    if len(under_test()) < 2:
        pytest.skip("not part of this repository: a second server binary, whose import takes a store in use")
    new, old = under_test()
    point = {"update": {"singleton": _UNREACHABLE}}
    default = {"update": {"singleton": {"@type": "Default"}}}

    def export(folder: str) -> Path:
        done = own.run("--export", str(tmp_path / folder), EXPORT_TYPES="blob")
        assert done.returncode == 0, done.stderr
        return tmp_path / folder

    def imported(version: str, path: Path) -> int:
        own.version = version
        code = own.run("--import", str(path)).returncode
        own.version = new
        return code

    with bucket(own.space):
        with own.running(WITH_ADMIN):
            install(own)
            assert _send(own).startswith("250 ")
        first = export("first")
        assert sorted(path.name for path in first.iterdir()) == ["subspace_k", "subspace_t"]
        with own.running({**WITH_ADMIN, "STALWART_RECOVERY_MODE": "1"}):
            own.call(RECOVERY, ("x:BlobStore/set", point))
        # The bucket has none of them: they are missing without a word.
        assert len(_bodies(export("missing"))) < len(_bodies(first))
        # The present release refuses: the data store has its bodies still.
        assert imported(new, first / "subspace_t") == 1
        assert imported(old, first / "subspace_t") == 0
        assert _bodies(export("moved")) == _bodies(first)
        with own.running({**WITH_ADMIN, "STALWART_RECOVERY_MODE": "1"}):
            own.call(RECOVERY, ("x:BlobStore/set", default))
        assert _bodies(export("kept")) == _bodies(first), "the data store has kept its own"
