"""Keeps some of the traced requests for the monitor: a slow bucket leads to a trace that is in it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from headrace.monitor.v1 import telemetry_pb2

MOST = 16
"""In one report."""
OF_A_VERSION = 4


class TraceExemplars:
    """Keeps a few until they are told; called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[telemetry_pb2.TraceExemplar] = []
        self._of_version: dict[tuple[str, int], int] = {}

    def add(self, exemplar: telemetry_pb2.TraceExemplar) -> None:
        """Keep this one, if there is room for it."""
        key = exemplar.model, exemplar.version
        with self._lock:
            known = self._of_version.get(key, 0)
            if known < OF_A_VERSION and len(self._kept) < MOST:
                self._kept.append(exemplar)
                self._of_version[key] = known + 1

    def take(self) -> Sequence[telemetry_pb2.TraceExemplar]:
        """Those that were kept since this was last called."""
        with self._lock:
            kept, self._kept, self._of_version = self._kept, [], {}
        return kept
