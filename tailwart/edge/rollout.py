"""Edges that serve take a change one after the other: the next only when the last one serves with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tailwart.errors import TailwartError


class Rollout:
    """The order among the edges of one run. Nothing is held up where nothing serves yet: a first deploy is one go."""

    def __init__(self) -> None:
        # pyinfra replaces threads by gevent's; without it they are real.
        self._one_at_a_time = threading.Lock()
        self._failed = ""

    @contextmanager
    def turn(self, edge: str, *, serves: bool) -> Iterator[None]:
        """Change ``edge`` now; raises `TailwartError` when an edge before it did not serve after the same change."""
        if not serves:
            yield
            return
        with self._one_at_a_time:
            if self._failed:
                raise TailwartError(
                    f"{edge} is left as it is, because {self._failed} did not serve after the same change",
                    seen=f"{edge} serves with what it had before",
                    expected=f"{self._failed} to serve first",
                    remedy=f"look at the failure of {self._failed} in this run, then run the deploy again",
                )
            try:
                yield
            except BaseException:
                self._failed = edge
                raise
