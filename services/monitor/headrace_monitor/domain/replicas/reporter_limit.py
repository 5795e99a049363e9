"""Bounds the number of replicas that report, so that invented ones cannot fill the monitor."""

from __future__ import annotations

from collections.abc import Mapping

from headrace import errors
from headrace_monitor.domain.limits import SILENT_SECONDS
from headrace_monitor.domain.telemetry.report import NANOSECONDS

RETRY_SECONDS = 5.0


class ReporterLimit:
    """The replicas that were heard of lately, the longest silent first, and whose they are."""

    def __init__(self, limit: int, heard_ns: Mapping[str, int]) -> None:
        self._limit = limit
        self._heard_ns = dict(sorted(heard_ns.items(), key=lambda item: item[1]))
        self._reporters: dict[str, str] = {}

    def admit(self, replica: str, steady_ns: int, reporter: str = "") -> None:
        """Let a replica report, whose id is its first reporter's until it was silent for long.

        Raises ResourceExhausted (TOO_MANY_REPLICAS) for one too many, PermissionDenied (REPLICA_ID_TAKEN).
        """
        if replica not in self._heard_ns or self._reporters.get(replica, reporter) != reporter:
            self._forget_silent(steady_ns)
        if self._reporters.get(replica, reporter) != reporter:
            raise _taken(replica)
        if self._heard_ns.pop(replica, None) is None and len(self._heard_ns) >= self._limit:
            raise self._full()
        self._heard_ns[replica] = steady_ns
        self._reporters[replica] = reporter

    def _forget_silent(self, steady_ns: int) -> None:
        before_ns = steady_ns - SILENT_SECONDS * NANOSECONDS
        while self._heard_ns:
            oldest = next(iter(self._heard_ns))
            if self._heard_ns[oldest] >= before_ns:
                return
            del self._heard_ns[oldest]
            self._reporters.pop(oldest, None)

    def _full(self) -> errors.ResourceExhausted:
        return errors.ResourceExhausted(
            "TOO_MANY_REPLICAS",
            f"{self._limit} replicas reported in the last {SILENT_SECONDS // 60} minutes, the most that "
            "the monitor takes (its setting max_replicas): raise it, or wait until others are gone",
            facts={"limit": str(self._limit), "setting": "max_replicas"},
            retry_after_seconds=RETRY_SECONDS,
        )


def _taken(replica: str) -> errors.PermissionDenied:
    return errors.PermissionDenied(
        "REPLICA_ID_TAKEN",
        f"the replica {replica!r} reports by another identity; it is free {SILENT_SECONDS // 60} minutes "
        "after that one's last report",
        facts={"replica": replica},
    )
