"""Bounds the bytes of reports that are held at a time and the streams they come over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headrace import errors

RETRY_SECONDS = 1.0

STREAMS_OF_A_REPLICA = 2
"""One, and a second while the first one is broken and the monitor does not know it yet."""

_MIB = 2**20


class ReportMemory:
    """The streams of reports, and the bytes of reports between their reception and acknowledgement.

    Each stream may have a message under way that nobody has seen yet, so their number is bounded too.
    """

    def __init__(self, limit_bytes: int, max_replicas: int) -> None:
        self._limit_bytes = limit_bytes
        self._max_replicas = max_replicas
        self._streams = 0
        self.held_bytes = 0

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Count a stream while inside. Raises ResourceExhausted (TOO_MANY_REPLICAS) for one too many."""
        if self._streams >= STREAMS_OF_A_REPLICA * self._max_replicas:
            raise self._too_many_streams()
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    @contextmanager
    def hold(self, size_bytes: int) -> Iterator[None]:
        """Count a report while inside. Raises ResourceExhausted (INTAKE_FULL) where there is no room."""
        if self.held_bytes + size_bytes > self._limit_bytes:
            raise self._full()
        self.held_bytes += size_bytes
        try:
            yield
        finally:
            self.held_bytes -= size_bytes

    def _too_many_streams(self) -> errors.ResourceExhausted:
        return errors.ResourceExhausted(
            "TOO_MANY_REPLICAS",
            f"{self._streams} streams of reports are open, twice as many as replicas may report (the "
            "monitor's setting max_replicas): raise it, or see who reports",
            facts={"limit": str(self._max_replicas), "setting": "max_replicas"},
            retry_after_seconds=RETRY_SECONDS,
        )

    def _full(self) -> errors.ResourceExhausted:
        limit = self._limit_bytes // _MIB
        return errors.ResourceExhausted(
            "INTAKE_FULL",
            f"reports of {limit} MiB wait to be stored, the most allowed (the monitor's setting "
            "report_memory_mb); send this one again later",
            facts={"limit": str(limit), "setting": "report_memory_mb"},
            retry_after_seconds=RETRY_SECONDS,
        )
