"""The fault layer that all fake APIs share, seen by an HTTP client over real sockets."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from lab.control.faults import Faults
from lab.control.server import running


@dataclass
class Counter:
    """An application that counts the requests that took effect."""

    effects: list[str] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        self.effects.append(environ["REQUEST_METHOD"] + " " + environ["PATH_INFO"])
        start_response("200 OK", [("Content-Type", "text/plain"), ("ETag", '"e"')])
        return [b"effect of ", body or b"nothing"]


@dataclass(frozen=True)
class Served:
    url: str
    app: Counter

    def arm(self, **fault: object) -> None:
        assert requests.post(f"{self.url}/lab/faults", json=fault, timeout=5).status_code == 201


@pytest.fixture
def served() -> Iterator[Served]:
    app = Counter()
    faults = Faults(app, lambda status: ("application/json", f'{{"message":"error {status}"}}'.encode()))
    with running(faults) as url:
        yield Served(url, app)


def test_without_faults_requests_pass_untouched(served: Served) -> None:
    answer = requests.put(f"{served.url}/a", data="x", timeout=5)
    assert (answer.status_code, answer.text, answer.headers["ETag"]) == (200, "effect of x", '"e"')


def test_a_connection_serves_many_requests_and_chunked_bodies_arrive(served: Served) -> None:
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=5)
    connection.connect()
    connection.auto_open = 0  # a connection that the server closed is an error, not a new one
    for text in (b"one", b"two"):
        connection.request("PUT", "/a", iter([b"x", text]), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
        assert connection.getresponse().read() == b"effect of x" + text
    connection.close()


def test_a_status_fault_speaks_the_apis_language_and_has_no_effect(served: Served) -> None:
    served.arm(kind="status", status=429, headers={"Retry-After": "7"}, times=1)
    answer = requests.get(f"{served.url}/a", timeout=5)
    assert (answer.status_code, answer.json()) == (429, {"message": "error 429"})
    assert answer.headers["Retry-After"] == "7"
    assert served.app.effects == []
    assert requests.get(f"{served.url}/a", timeout=5).status_code == 200


def test_method_path_skip_and_times_select_requests(served: Served) -> None:
    served.arm(kind="status", status=412, method="POST", path="/acl$", skip=1, times=2)
    with requests.Session() as session:
        posts = [session.post(f"{served.url}/acl", data="b", timeout=5).status_code for _ in range(4)]
        assert posts == [200, 412, 412, 200]
        assert session.get(f"{served.url}/acl", timeout=5).status_code == 200


def test_execute_loses_only_the_answer(served: Served) -> None:
    served.arm(kind="status", status=500, execute=True)
    assert requests.post(f"{served.url}/a", timeout=5).status_code == 500
    assert served.app.effects == ["POST /a"]


def test_html_where_an_api_was_expected(served: Served) -> None:
    served.arm(kind="html")
    answer = requests.get(f"{served.url}/a", timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")


def test_cut_has_no_effect_and_cut_after_has(served: Served) -> None:
    served.arm(kind="cut", times=1)
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{served.url}/a", data="x" * 100_000, timeout=5)
    assert served.app.effects == []
    served.arm(kind="cut-after", times=1)
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{served.url}/a", data="x", timeout=5)
    assert served.app.effects == ["POST /a"]


def test_truncate_breaks_in_the_middle_of_the_body(served: Served) -> None:
    served.arm(kind="truncate")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        _ = requests.get(f"{served.url}/a", timeout=5).content


def test_slow_outlasts_a_clients_patience(served: Served) -> None:
    served.arm(kind="slow", seconds=2, times=1)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{served.url}/a", timeout=0.2)


def test_the_record_counts_requests_until_it_is_cleared(served: Served) -> None:
    served.arm(kind="status", status=503, path="/b")
    for path in ("/a?x=1", "/b"):
        requests.get(served.url + path, timeout=5)
    record = requests.get(f"{served.url}/lab/requests", timeout=5).json()
    assert [(r["path"], r["query"], r["status"], r["fault"]) for r in record] == [
        ("/a", "x=1", 200, None),
        ("/b", "", 503, "status"),
    ]
    assert requests.delete(f"{served.url}/lab/requests", timeout=5).status_code == 204
    assert requests.get(f"{served.url}/lab/requests", timeout=5).json() == []


def test_faults_are_listed_and_disarmed(served: Served) -> None:
    served.arm(kind="cut")
    assert len(requests.get(f"{served.url}/lab/faults", timeout=5).json()) == 1
    requests.delete(f"{served.url}/lab/faults", timeout=5)
    assert requests.get(f"{served.url}/a", timeout=5).status_code == 200


@pytest.mark.parametrize(
    "fault", [{}, {"kind": "explode"}, {"kind": "cut", "tims": 1}, {"kind": "cut", "path": "("}, "cut"], ids=str
)
def test_a_misspelt_fault_is_refused_instead_of_ignored(served: Served, fault: object) -> None:
    answer = requests.post(f"{served.url}/lab/faults", json=fault, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_administration_needs_the_token() -> None:
    with running(Faults(Counter(), lambda status: ("text/plain", b""), token="secret")) as url:
        assert requests.get(f"{url}/lab/faults", timeout=5).status_code == 403
        assert requests.get(f"{url}/lab/faults", headers={"X-Lab-Admin": "secret"}, timeout=5).status_code == 200
        assert requests.get(f"{url}/lab/health", timeout=5).json() == {"healthy": True}
