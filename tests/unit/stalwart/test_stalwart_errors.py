"""Every error of the recorded exchanges, and every way of getting no answer: named with object, field and remedy."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tailwart.runner import Completed
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, login, parse
from tailwart.stalwart.protocol.failures import LoginRefused, NotReachable, SettingsError, refused, remedy
from tailwart.stalwart.protocol.jmap import Call
from tailwart.stalwart.protocol.transport import Response
from tests.unit.stalwart.http_transport import HttpTransport
from tests.unit.stalwart.sample import Deployed, edge, names, settings

RECORDED = Path(__file__).parents[2] / "contract" / "fixtures" / "jmap-transcript-0.16.7.jsonl"


def recorded_refusals() -> Iterator[Any]:
    """Every refused object of the recorded exchanges."""
    for line in RECORDED.read_text().splitlines():
        exchange = json.loads(line)
        document = exchange["response"]
        for name, arguments, _ in document.get("methodResponses", ()) if isinstance(document, dict) else ():
            for outcome in ("notCreated", "notUpdated", "notDestroyed"):
                for error in (arguments.get(outcome) or {}).values():
                    kind = name.removeprefix("x:").partition("/")[0]
                    yield pytest.param(kind, error, id=f"{exchange['title']} ({error['type']})")


def test_the_recordings_hold_every_error_type() -> None:
    assert {param.values[1]["type"] for param in recorded_refusals()} >= {
        "primaryKeyViolation",
        "invalidPatch",
        "validationFailed",
        "invalidForeignKey",
        "objectIsLinked",
        "notFound",
        "invalidProperties",
    }


@pytest.mark.parametrize(("kind", "error"), list(recorded_refusals()))
def test_recorded_refusal_names_object_field_and_remedy(kind: str, error: dict[str, Any]) -> None:
    sentence = refused("create", kind, "the-object", error, {("Domain", "b"): "example.org"})
    assert f"{kind} the-object" in sentence
    assert error["type"] in sentence
    for field in error.get("properties") or ():
        assert field in sentence
    for detail in error.get("validationErrors") or ():
        assert detail["property"] in sentence
    for item in error.get("linkedObjects") or ():
        assert item["object"] in sentence
    assert error.get("description", "") in sentence
    assert remedy(error, kind)


def test_a_name_that_another_kind_has_is_not_adopted_by_the_next_run() -> None:
    taken = {
        "type": "primaryKeyViolation",
        "properties": ["namespace"],
        "objectId": {"object": "HttpLookup", "id": "b"},
    }
    assert remedy(taken, "StoreLookup") == (
        "StoreLookup and HttpLookup share one name space: give one of the two another namespace"
    )
    assert "adopts it" in remedy(taken, "HttpLookup")


def refusing(deployed: Deployed, kind: str, error: dict[str, Any]) -> None:
    deployed.server.refuse = lambda refused_kind, _: error if refused_kind == kind else None


@pytest.mark.parametrize("kind", ["Domain", "NetworkListener", "MtaRoute", "AllowedIp", "SystemSettings", "Account"])
def test_a_refused_object_leaves_nothing_that_the_next_run_does_not_finish(kind: str) -> None:
    deployed = Deployed()
    refusing(deployed, kind, {"type": "validationFailed", "validationErrors": [{"type": "Invalid", "property": "x"}]})
    outcome = deployed.apply(settings())
    assert any(kind in failure for failure in outcome.failures)
    with pytest.raises(SettingsError, match="next run finishes"):
        outcome.raise_failures()
    deployed.server.refuse = lambda kind, arguments: None
    assert not deployed.apply(settings()).failures
    assert names(deployed.plan(settings())) == set()


def test_what_does_not_depend_on_the_refused_object_is_still_written() -> None:
    deployed = Deployed(settings(smarthost_address=None))
    moved = settings(smarthost_username=None, smarthost_password=None, edges=[edge("203.0.113.8")])
    refusing(deployed, "MtaRoute", {"type": "invalidPatch", "properties": ["address"]})
    (failure,) = deployed.apply(moved).failures
    assert "MtaRoute smarthost" in failure
    assert "field address" in failure
    assert deployed.server.find("AllowedIp", address="203.0.113.8")


class _Answering:
    def __init__(self, *responses: Response) -> None:
        self.responses = list(responses)

    def exchange(self, bodies: Sequence[str]) -> list[Response]:
        return [self.responses.pop(0) for _ in bodies]


def call(*responses: Response) -> None:
    Client(_Answering(*responses)).call([Call("Domain", "get", {"ids": None})])


def test_unknown_method_and_forbidden_name_the_call() -> None:
    for kind, expected in (("unknownMethod", "STALWART_IMAGE"), ("forbidden", "administrator")):
        answer = {"methodResponses": [["error", {"type": kind, "description": "said by the server"}, "0"]]}
        with pytest.raises(SettingsError, match=f"x:Domain/get[^§]*said by the server[^§]*{expected}"):
            call(Response(200, json.dumps(answer)))


def test_http_401_400_and_500() -> None:
    with pytest.raises(LoginRefused, match=r"STALWART_ADMIN_PASSWORD[^§]*tailwart recover"):
        call(Response(401, '{"status":401,"title":"Unauthorized"}'))
    body = '{"type":"urn:ietf:params:jmap:error:notRequest","status":400,"detail":"{not json"}'
    with pytest.raises(NotReachable, match=r"HTTP 400: \{not json"):
        call(Response(400, body))
    with pytest.raises(NotReachable, match="HTTP 500"):
        call(Response(500, "oops"))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        '{"methodResponses": [["x:Domain/get", {"list": [',
        "[]",
        '{"methodResponses": []}',
        "<html>proxy</html>",
    ],
)
def test_a_truncated_answer_is_never_taken_for_an_empty_server(body: str) -> None:
    with pytest.raises(NotReachable, match="incomplete"):
        call(Response(200, body))


def test_connection_refused_and_silence_over_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(NotReachable, match="does not answer"):
            HttpTransport(f"http://127.0.0.1:{port}", "admin", "secret", timeout=0.2).exchange(["{}"])
    with pytest.raises(NotReachable, match="Connection refused"):
        HttpTransport(f"http://127.0.0.1:{port}", "admin", "secret", timeout=0.2).exchange(["{}"])


def test_an_answer_that_breaks_off_over_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def break_off() -> None:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"methodResponses": [')
            connection.close()

        thread = threading.Thread(target=break_off)
        thread.start()
        with pytest.raises(NotReachable):
            HttpTransport(f"http://127.0.0.1:{server.getsockname()[1]}", "a", "b", timeout=5).exchange(["{}"])
        thread.join()


@pytest.mark.parametrize(
    ("output", "errors", "message"),
    [
        ("\n000\nMARK exit 7\n", "curl: (7) Failed to connect to 127.0.0.1 port 8080", "connection refused"),
        ("\n000\nMARK exit 28\n", "curl: (28) Operation timed out", "no answer in time"),
        ('{"methodResp\n200\nMARK exit 18\n', "curl: (18) transfer closed", "broke off"),
        ("", "Error response from daemon: container stalwart is not running", "not running"),
        ("", "", "broke off"),
    ],
)
def test_no_answer_in_the_container(output: str, errors: str, message: str) -> None:
    with pytest.raises(NotReachable, match=rf"{message}[^§]*docker"):
        parse(output.replace("MARK", "m" * 24), errors, "m" * 24, 2)


def test_no_error_shows_a_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(NotReachable) as caught:
        HttpTransport(f"http://127.0.0.1:{port}", "admin", "a-secret-password", timeout=0.2).exchange(["{}"])
    assert "a-secret-password" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_shell_that_the_engine_ended_before_its_first_line_is_started_once_more() -> None:
    scripts: list[str] = []

    def run(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        scripts.append(script)
        return Completed(False, "", "")

    with pytest.raises(NotReachable, match="broke off"):
        ContainerTransport(run, login("admin", "secret")).exchange(["{}"])
    assert len(scripts) == 2
