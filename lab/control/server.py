"""An HTTP/1.1 server with kept-alive connections for a fake API.

Cheroot keeps connections open as the real services do, and lets a gateway hand the connection's socket to the
application, which the faults that cut a connection need.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cheroot import wsgi
from cheroot.server import HTTPRequest

from lab.control.faults import WsgiApp


class _Gateway(wsgi.Gateway_10):
    def __init__(self, req: HTTPRequest) -> None:
        super().__init__(req)
        self.env["lab.socket"] = req.conn.socket


def listen(app: WsgiApp, host: str, port: int) -> wsgi.Server:
    """A bound server; `serve` and `stop` are the caller's. Port 0 picks a free one (``server.bind_addr[1]``)."""
    server = wsgi.Server((host, port), app, shutdown_timeout=1)
    server.gateway = _Gateway
    server.prepare()
    return server


@contextmanager
def running(app: WsgiApp) -> Iterator[str]:
    """Serves `app` on a free loopback port for the time of the block; yields the base URL."""
    server = listen(app, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.bind_addr[1]}"
    finally:
        server.stop()
        thread.join()
