"""How many bytes of reports are held at a time, over all streams: what is over it is refused, not read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headrace import errors

RETRY_SECONDS = 1.0
_MIB = 2**20


class ReportMemory:
    """The bytes of reports between their reception and their acknowledgement."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.held_bytes = 0

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

    def _full(self) -> errors.ResourceExhausted:
        limit = self._limit_bytes // _MIB
        return errors.ResourceExhausted(
            "INTAKE_FULL",
            f"reports of {limit} MiB wait to be stored, the most allowed (the monitor's setting "
            "report_memory_mb); send this one again later",
            facts={"limit": str(limit), "setting": "report_memory_mb"},
            retry_after_seconds=RETRY_SECONDS,
        )
