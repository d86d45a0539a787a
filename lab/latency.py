"""A TCP proxy on loopback that holds every packet back: a distant host without a distant host."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from types import TracebackType


class DelayProxy:
    """Forwards a port of 127.0.0.1 to ``host:port``, each direction ``delay`` seconds late, in order.

    ``round_trips`` counts how often the client spoke after it had heard something: what it had to wait for.
    """

    def __init__(self, host: str, port: int, delay: float) -> None:
        self.port = 0
        self.round_trips = 0
        self._target = (host, port)
        self._delay = delay
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> DelayProxy:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True))

    async def _serve(self, near: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        far, far_writer = await asyncio.open_connection(*self._target)
        heard = False

        def from_client() -> None:
            nonlocal heard
            self.round_trips += heard
            heard = False

        def from_server() -> None:
            nonlocal heard
            heard = True

        # Leaving the proxy ends connections that are still open; asyncio would print a traceback for each.
        with suppress(asyncio.CancelledError):
            await asyncio.gather(self._pump(near, far_writer, from_client), self._pump(far, near_writer, from_server))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, note: object) -> None:
        """Read at once, deliver late: the delay shifts the stream and does not throttle it."""
        assert callable(note)
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    sink.close()
                    return
                sink.write(data)
                await sink.drain()

        delivery = asyncio.ensure_future(deliver())
        try:
            while data := await source.read(65536):
                note()
                queue.put_nowait((time.monotonic() + self._delay, data))
        except ConnectionError:
            pass  # the other side has gone; what was read is still delivered
        queue.put_nowait((time.monotonic() + self._delay, b""))
        await asyncio.gather(delivery, return_exceptions=True)
