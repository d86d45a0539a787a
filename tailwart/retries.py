"""Repeating a request that failed for a passing reason: how often, after which pause, and when to stop.

Knows nothing of HTTP libraries: the caller says which results and errors may pass, and that repeating is safe.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, retry_if_result, stop_after_attempt
from tenacity.wait import wait_exponential, wait_random

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retries:
    """Bounds of the repetition.

    ``attempts`` counts every request, the first included. Pauses are in seconds: the n-th is ``first_pause`` times
    2^(n-1) plus a random part of up to ``first_pause``, so that clients that failed together do not return together.
    ``total_pause`` bounds the sum of all pauses, those that the server asks for included. ``silence`` bounds the time
    from its last answer, or from the start of the call: after an error no further request begins that could end later.
    ``request_seconds`` is how long one request may take, the caller's timeouts in sum; a longer one that was seen
    counts instead (a name with several addresses is tried at each). ``sleep`` makes the pauses, and gets their seconds,
    ``clock`` counts seconds: a test passes its own.
    """

    attempts: int = 4
    first_pause: float = 0.5
    total_pause: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    silence: float = 60.0
    request_seconds: float = 0.0
    clock: Callable[[], float] = time.monotonic

    def call(
        self,
        request: Callable[[], T],
        *,
        transient_error: type[Exception] | tuple[type[Exception], ...],
        transient: Callable[[T], bool],
        requested_pause: Callable[[T], float | None] = lambda _: None,
    ) -> T:
        """The first result that is not ``transient``; when a bound is reached, the last result or the last error.

        ``requested_pause`` is the seconds that a result asks to wait (`retry_after`). They are waited exactly, or, when
        they do not fit into ``total_pause``, not at all. Errors other than ``transient_error`` pass through at once.

            Retries().call(
                lambda: session.get(url, timeout=30),
                transient_error=requests.ConnectionError,
                transient=lambda response: response.status_code in (429, 503),
                requested_pause=lambda response: retry_after(response.headers.get("Retry-After", "")),
            )
        """
        backoff = wait_exponential(self.first_pause, max=self.total_pause) + wait_random(0, self.first_pause)

        quiet_since: float | None = None
        longest = self.request_seconds

        def timed() -> T:
            nonlocal quiet_since, longest
            begin = self.clock()
            quiet_since = begin if quiet_since is None else quiet_since
            try:
                result = request()
            finally:
                longest = max(longest, self.clock() - begin)
            quiet_since = None
            return result

        def pause(state: RetryCallState) -> float:
            assert state.outcome is not None, "a pause follows an attempt"
            requested = None if state.outcome.failed else requested_pause(state.outcome.result())
            return backoff(state) if requested is None else requested

        def too_long(state: RetryCallState) -> bool:
            quiet = 0.0 if quiet_since is None else self.clock() - quiet_since + state.upcoming_sleep + longest
            return state.idle_for + state.upcoming_sleep > self.total_pause or quiet > self.silence

        def last_outcome(state: RetryCallState) -> T:
            assert state.outcome is not None, "it stops after an attempt"
            result: T = state.outcome.result()
            return result

        retrying = Retrying(
            sleep=self.sleep,
            wait=pause,
            stop=lambda state: stop_after_attempt(self.attempts)(state) or too_long(state),
            retry=retry_if_exception_type(transient_error) | retry_if_result(transient),
            retry_error_callback=last_outcome,
        )
        return retrying(timed)


def retry_after(text: str, now: Callable[[], float] = time.time) -> float | None:
    """The seconds that a `Retry-After` header asks to wait; None for an absent or malformed one.

    RFC 9110 §10.2.3: a number of seconds, or an HTTP date; 0 for a date in the past.

    >>> retry_after("120")
    120.0
    >>> retry_after("Thu, 01 Jan 1970 00:02:00 GMT", now=lambda: 90.0)
    30.0
    """
    if text.strip().isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        # A date in the zone "-0000" comes without one; HTTP dates are in UTC.
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, seconds - now())
