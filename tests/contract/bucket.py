"""A bucket in memory on loopback: PUT, GET, HEAD and DELETE of objects as an S3 client sends them; no key is checked.

`python -m tests.contract.bucket PORT` runs it, so that it can live in a namespace of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.contract.namespace import Namespace
from tests.waiting import until

PORT = 3900
_ROOT = Path(__file__).parents[2]
_MISSING = b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>'


@contextmanager
def bucket(space: Namespace) -> Iterator[None]:
    """The bucket for the time of the block, empty at first."""
    process = subprocess.Popen(
        space.command(Path(sys.executable), "-m", "tests.contract.bucket", str(PORT)),
        cwd=_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: _listens(space), "the bucket to answer", 60, pause=0.1)
        yield
    finally:
        process.kill()
        process.wait()


def _listens(space: Namespace) -> bool:
    try:
        space.connect(PORT, timeout=2).close()
    except OSError:
        return False
    return True


class _Objects(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes] = {}  # noqa: RUF012 - one bucket for every connection

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "aws-chunked" in self.headers.get("Content-Encoding", "") or "x-amz-decoded-content-length" in self.headers:
            body = _unchunked(body)
        self.objects[self._key()] = body
        self._answer(200, b"")

    def do_GET(self) -> None:
        found = self.objects.get(self._key())
        self._answer(404 if found is None else 200, _MISSING if found is None else found)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.objects.pop(self._key(), None)
        self._answer(204, b"")

    def _key(self) -> str:
        return self.path.partition("?")[0]

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"0"')
        self.send_header("Last-Modified", "Fri, 27 Nov 2026 12:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test shows what matters."""


def _unchunked(body: bytes) -> bytes:
    """The content of a body in signed chunks: each has its size in hex before it."""
    content = b""
    while body:
        head, _, rest = body.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if not size:
            break
        content, body = content + rest[:size], rest[size + 2 :]
    return content


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Objects).serve_forever()
