"""Spans, and the queue that takes them to a collector on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

logger = logging.getLogger(__name__)

MAX_WAITING = 4096
"""Pieces that wait to be sent at most, a batch of requests each; those that come then are dropped."""

PAUSE_SECONDS = 1.0
"""Spans are sent together, so often."""

CLOSE_SECONDS = 5.0
"""How long what waits may take to be sent at the end."""

Attribute = str | int | float | bool


@dataclass(slots=True)
class Span:
    """Something that took time in a trace; times are nanoseconds since the Unix epoch."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int
    """0 where it begins the trace."""
    start_ns: int
    end_ns: int
    kind: Literal["server", "internal"] = "internal"
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    error: str = ""
    """Why it failed; '' where it did not."""


class Exporter(Protocol):
    """Sends spans; called in one thread."""

    def export(self, spans: Sequence[Span]) -> bool:
        """Send them; False where they could not be sent."""

    def close(self) -> None:
        """Send no more."""


Make = Callable[[], Iterable[Span]]


class SpanQueue:
    """Takes spans from any thread, and does not make it wait."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self._waiting: deque[Make] = deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._is_failing = False
        self.dropped = 0
        """What there was no room for, or could not be sent."""
        self.sent = 0

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def offer(self, make: Make) -> None:
        """Have spans made and sent soon; `make` runs on the queue's thread."""
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
        else:
            self._waiting.append(make)

    def close(self) -> None:
        """Send what waits, for a bounded time, and end."""
        self._stopping.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._stopping.wait(PAUSE_SECONDS):
            self._send()
        self._send()
        self._exporter.close()

    def _send(self) -> None:
        spans: list[Span] = []
        while self._waiting:
            try:
                spans += self._waiting.popleft()()
            except Exception:
                logger.exception("a bug lost spans")
        if not spans:
            return
        try:
            was_sent = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001  # of a library, whose errors are its own
            logger.debug("spans could not be sent: %s", error)
            was_sent = False
        self._note(len(spans), was_sent=was_sent)

    def _note(self, count: int, *, was_sent: bool) -> None:
        if was_sent:
            self.sent += count
        else:
            self.dropped += count
        if was_sent == self._is_failing:
            self._is_failing = not was_sent
            told = "spans are sent again" if was_sent else "spans cannot be sent, and are dropped"
            logger.log(logging.INFO if was_sent else logging.WARNING, told)
