"""A threaded HTTP/1.1 server with kept-alive connections for a façade.

Werkzeug's server hands the connection's socket to the application, which the faults that cut a connection need; a proxy
in front (Caddy) or a published port on 127.0.0.1 is all that ever talks to it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from lab.control.faults import WsgiApp


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer's head and body are two writes: without this a kept-alive client waits 40 ms for the second.
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """One line for each request, without the query of a token request or any header."""
        self.log("info", '"%s %s" %s %s', self.command, self.path.split("?", 1)[0], code, size)


def listen(app: WsgiApp, host: str, port: int) -> BaseWSGIServer:
    """A bound server; `serve_forever` is the caller's. Port 0 picks a free one (``server.server_port``)."""
    return make_server(host, port, app, threaded=True, request_handler=_Handler)


@contextmanager
def running(app: WsgiApp) -> Iterator[str]:
    """Serves `app` on a free loopback port for the time of the block; yields the base URL."""
    server = listen(app, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
