"""A download service on loopback with the contract and the faults of Caddy's own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Answer = Callable[[BaseHTTPRequestHandler], None]


def binary(content: bytes, announced: int | None = None) -> Answer:
    """200 with these bytes; ``announced`` is a Content-Length that may promise more than will come."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/octet-stream")
        request.send_header("Content-Length", str(len(content) if announced is None else announced))
        request.end_headers()
        request.wfile.write(content)

    return answer


def refusal(status: int, body: str) -> Answer:
    """An error with a body."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body.encode())))
        request.end_headers()
        request.wfile.write(body.encode())

    return answer


def redirect(location: str) -> Answer:
    """302 to another place."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", location)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def silence(released: threading.Event) -> Answer:
    """A build that does not end."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        released.wait(60)

    return answer


@dataclass
class DownloadService:
    """Gives its answers in order, the last one for ever; keeps the queries it got."""

    answers: list[Answer]
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    url: str = ""

    @contextlib.contextmanager
    def running(self) -> Iterator[DownloadService]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.queries.append(parse_qs(urlsplit(self.path).query))
                answers = service.answers
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    (answers.pop(0) if len(answers) > 1 else answers[0])(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_address[1]}/api/download"
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield self
            server.shutdown()
