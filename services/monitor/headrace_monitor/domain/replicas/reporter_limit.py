"""Bounds the number of replicas that report, so that invented ones cannot fill the monitor."""

from __future__ import annotations

from collections.abc import Mapping

from headrace import errors
from headrace_monitor.domain.limits import SILENT_SECONDS
from headrace_monitor.domain.telemetry.report import NANOSECONDS

RETRY_SECONDS = 5.0


class ReporterLimit:
    """The replicas that were heard of lately, the longest silent first."""

    def __init__(self, limit: int, heard_ns: Mapping[str, int]) -> None:
        self._limit = limit
        self._heard_ns = dict(sorted(heard_ns.items(), key=lambda item: item[1]))

    def admit(self, replica: str, steady_ns: int) -> None:
        """Let a replica report. Raises ResourceExhausted (TOO_MANY_REPLICAS) for one too many."""
        if self._heard_ns.pop(replica, None) is None:
            self._forget_silent(steady_ns)
            if len(self._heard_ns) >= self._limit:
                raise self._full()
        self._heard_ns[replica] = steady_ns

    def _forget_silent(self, steady_ns: int) -> None:
        before_ns = steady_ns - SILENT_SECONDS * NANOSECONDS
        while self._heard_ns:
            oldest = next(iter(self._heard_ns))
            if self._heard_ns[oldest] >= before_ns:
                return
            del self._heard_ns[oldest]

    def _full(self) -> errors.ResourceExhausted:
        return errors.ResourceExhausted(
            "TOO_MANY_REPLICAS",
            f"{self._limit} replicas reported in the last {SILENT_SECONDS // 60} minutes, the most that "
            "the monitor takes (its setting max_replicas): raise it, or wait until others are gone",
            facts={"limit": str(self._limit), "setting": "max_replicas"},
            retry_after_seconds=RETRY_SECONDS,
        )
