"""Limits of callers: the requests and rows that one subject may ask of this replica, exactly."""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from headrace.errors import HeadraceError, ResourceExhausted
from headrace.security.policy import CallLimits
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.scheduling.answering_version import AnsweringVersion
from headrace_inference.domain.scheduling.requests import (
    BatchResult,
    Encoded,
    EncodedResponses,
    InferenceRequest,
    ResponsePart,
    ResponseSink,
)

IN_FLIGHT_RETRY_SECONDS = 0.1


class TokenBucket:
    """A rate: what is not used is kept for one second. A rate of 0 sets no limit."""

    def __init__(self, rate: float, now_ns: int) -> None:
        self.rate = rate
        self._burst = max(1.0, rate)
        self._level = self._burst
        self._filled_ns = now_ns

    def missing_seconds(self, wanted: float, now_ns: int) -> float:
        """How long it takes until so many may be taken; 0: now.

        More than is ever kept may be taken when all is there; what follows waits the longer.
        """
        if not self.rate:
            return 0.0
        added = (now_ns - self._filled_ns) * self.rate / 1e9
        self._level, self._filled_ns = min(self._burst, self._level + added), now_ns
        return max(0.0, min(wanted, self._burst) - self._level) / self.rate

    def take(self, wanted: float) -> None:
        """Take so many."""
        self._level -= wanted


class CallLimiter:
    """What one subject asks of this replica, by whichever wire. Any thread may ask and release.

    A request that is refused takes nothing.
    """

    def __init__(self, subject: str, limits: CallLimits, clock: Clock) -> None:
        self.limits = limits
        self._subject = subject
        self._now_ns = clock.monotonic_ns
        now = self._now_ns()
        self._requests = TokenBucket(limits.requests_per_second, now)
        self._rows = TokenBucket(limits.rows_per_second, now)
        self._lock = threading.Lock()
        self._sinks: dict[int, LimitedSink] = {}
        self.in_flight = 0

    def hold(self, rows: int) -> None:
        """Count a request of so many rows until it is released. Raises ResourceExhausted (CALLER_LIMIT)."""
        with self._lock:
            now = self._now_ns()
            if self.limits.in_flight and self.in_flight >= self.limits.in_flight:
                raise self._over("in flight", self.limits.in_flight, IN_FLIGHT_RETRY_SECONDS)
            for bucket, wanted, unit in (
                (self._requests, 1, "requests"),
                (self._rows, rows, "rows"),
            ):
                missing = bucket.missing_seconds(wanted, now)
                if missing:
                    raise self._over(f"{unit} a second", bucket.rate, missing)
            self._requests.take(1)
            self._rows.take(rows)
            self.in_flight += 1

    def release(self, requests: int) -> None:
        """So many of its requests have ended."""
        with self._lock:
            self.in_flight -= requests

    @contextmanager
    def holding(self) -> Iterator[CallPlace]:
        """Yield a place for one request, which it takes once its rows are known, and leaves at the end."""
        place = CallPlace(self)
        try:
            yield place
        finally:
            place.leave()

    def sink_around(self, inner: ResponseSink) -> LimitedSink:
        """The sink that has these requests answered, and releases them. A batch shares one."""
        sink = self._sinks.get(id(inner))
        if sink is None:
            sink = self._sinks[id(inner)] = LimitedSink(inner, self)
        return sink

    def _over(self, unit: str, limit: float, seconds: float) -> HeadraceError:
        return ResourceExhausted(
            "CALLER_LIMIT",
            f"{self._subject} may have {limit:g} requests in flight on a replica, and has; wait for "
            "answers, or ask an admin for a higher limit"
            if unit == "in flight"
            else f"{self._subject} may ask {limit:g} {unit} of a replica, and has; send fewer, or ask an "
            "admin for a higher limit",
            facts={"subject": self._subject, "limit": f"{limit:g}", "unit": unit},
            retry_after_seconds=math.ceil(seconds * 1000) / 1000,
        )


class CallPlace:
    """The place of one request among those of its caller."""

    def __init__(self, limiter: CallLimiter) -> None:
        self._limiter = limiter
        self._is_taken = False

    def take(self, rows: int) -> None:
        """Take it, unless that is done. Raises ResourceExhausted (CALLER_LIMIT)."""
        if not self._is_taken:
            self._limiter.hold(rows)
            self._is_taken = True

    def leave(self) -> None:
        """Leave it, if it was taken."""
        if self._is_taken:
            self._limiter.release(1)


class LimitedSink:
    """Has the requests of a caller with limits answered, and releases what they hold."""

    def __init__(self, inner: ResponseSink, limiter: CallLimiter) -> None:
        self._inner = inner  # it is kept: its id stays its own
        self._limiter = limiter

    @property
    def takes_parts(self) -> bool:
        """As the sink within."""
        return self._inner.takes_parts

    def encode(
        self, version: AnsweringVersion, result: BatchResult, indexes: Sequence[int]
    ) -> EncodedResponses:
        """Make the answers to these requests, and count those that end with them."""
        answers, refused = self._inner.encode(version, result, indexes)
        is_last = result.part is not ResponsePart.PARTIAL
        return (answers, (len(indexes) - len(refused)) * is_last), refused

    def deliver(self, answers: tuple[Encoded, int]) -> Collection[InferenceRequest]:
        """Deliver them. Where that fails, each of the requests fails."""
        others = self._inner.deliver(answers[0])
        self._limiter.release(answers[1])
        return others

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Answer this request with an error."""
        self._limiter.release(1)
        self._inner.fail(request, error)
