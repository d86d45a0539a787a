"""A restart that delays no mail: the queue is held, what is being delivered ends, and only then the process stops.

A stopping server does not wait for a delivery: that message then rests for ten minutes, until the lock of the process
that is gone ends. So the queue is paused first. What is due and was there before the pause may be in delivery; it is
waited for within a bound. What still runs then is broken off: its lock is given up before the restart, and the new
process delivers it at once.

A pause ends with the process. Nothing else ends it, so it is noted on the host before it is ordered: a run that dies
in between leaves a queue that the next run resumes first of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import notes
from tailwart.stalwart.protocol import orders
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.protocol.jmap import MAX_OBJECTS, Call
from tailwart.stalwart.protocol.values import TYPE

# Each round ends with a short breath of the queue: a message that was due and not begun when the pause came is begun
# then; what is in delivery goes on either way.
_ROUNDS = 3
_SECONDS_EACH = 10
_TASK_SECONDS = 10

_QUEUED = Call("QueuedMessage", "query", {"sort": [{"property": "due", "isAscending": True}], "limit": MAX_OBJECTS})
_TASKS = Call("Task", "query", {"filter": {TYPE: "StoreMaintenance"}, "limit": 1})


class Queue:
    """The queue of one mailbox host's server. Every step may fail without harm: a restart must remain possible."""

    def __init__(
        self,
        run: Runner,
        *,
        directory: str = names.DIRECTORY,
        base: str = names.BASE,
        log: Callable[[str], None] = lambda _: None,
        rounds: int | None = None,
    ) -> None:
        """`rounds` of ten seconds each are what a running delivery gets."""
        self._run = run
        self._directory = directory
        self._base = base
        self._log = log
        self._rounds = _ROUNDS if rounds is None else rounds

    def _client(self) -> Client:
        return Client(ContainerTransport(self._run, stored_login(self._directory), base=self._base))

    def hold(self) -> None:
        """Pause the queue and wait for what is being delivered; where no server runs, there is nothing to do."""
        noted = self._run(notes.remember_pause(self._directory), timeout=60)
        if not noted.ok or not noted.stdout.strip():
            return
        try:
            self._hold(self._client())
        except TailwartError as problem:
            self._log(f"the queue cannot be held, the restart goes on: {problem.what}")

    def _hold(self, client: Client) -> None:
        running = 0
        for _ in range(self._rounds):
            *_, queued = client.call([orders.action(orders.PAUSE_QUEUE), _QUEUED])
            found = [str(item) for item in queued.arguments.get("ids") or ()]
            now = self._now() if found else ""
            for _ in range(_SECONDS_EACH):
                running = self._due(client, found, now)
                if not running:
                    return
                self._run("sleep 1", timeout=30)
            client.call([orders.action(orders.RESUME_QUEUE)])
        client.call([orders.action(orders.PAUSE_QUEUE)])
        waited = self._rounds * _SECONDS_EACH
        self._log(f"{running} deliveries still run after {waited} s: they are broken off, and begin again at once")
        self.release(client)

    def _due(self, client: Client, found: list[str], now: str) -> int:
        """How many of these messages are there and were due at that time."""
        if not found:
            return 0
        (answer,) = client.call([Call("QueuedMessage", "get", {"ids": found, "properties": ["id", "nextRetry"]})])
        return sum(1 for item in answer.objects if str(item.get("nextRetry") or "9") <= now)

    def release(self, client: Client | None = None) -> None:
        """Give up every lock of the queue; it counts for the next process."""
        client = client or self._client()
        client.call([orders.maintenance(orders.RELEASE_QUEUE_LOCKS)])
        for _ in range(_TASK_SECONDS):
            (tasks,) = client.call([_TASKS])
            if not tasks.arguments.get("ids"):
                return
            self._run("sleep 1", timeout=30)

    def resume(self) -> None:
        """Let the queue go on, and forget that it was held; raises TailwartError when the server does not answer."""
        self._client().call([orders.action(orders.RESUME_QUEUE)])
        self._run(notes.forget_pause(self._directory), timeout=60)

    def _now(self) -> str:
        """The host's time, as the server writes times."""
        said = self._run("date -u +%Y-%m-%dT%H:%M:%SZ", timeout=60).stdout.strip()
        return said or f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


@contextmanager
def held(queue: Queue) -> Iterator[None]:
    """The queue is held while the process is replaced, and goes on afterwards, whichever process runs then."""
    queue.hold()
    try:
        yield
    finally:
        try:
            queue.resume()
        except TailwartError as problem:
            # The next run finds the note; a new process has forgotten the pause anyway.
            queue._log(f"the queue is resumed by the next run: {problem.what}")
