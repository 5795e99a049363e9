"""Traces on disk: one JSON object a line."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


class TraceFile:
    """Appends traces to a file, or to PATH.0, PATH.1 … where each is to have so many.

    A line is one write, so that several processes may share a file. Called from any thread; a disk that
    does not take a trace is logged once and costs no request.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._written = 0
        self._open: tuple[Path, int] | None = None
        self._failing = False

    def write(self, trace: dict[str, Any], log_frequency: int) -> None:
        """Append a trace; with a frequency over 0 the next file begins after so many."""
        with self._lock:
            line = json.dumps({"id": self._written} | trace, allow_nan=False) + "\n"
            try:
                os.write(self._descriptor(log_frequency), line.encode())
            except OSError as error:
                self._failed(error)
            else:
                self._failing = False
                self._written += 1

    def close(self) -> None:
        """Close the file that is open."""
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def _descriptor(self, log_frequency: int) -> int:
        path = self._path
        if log_frequency:
            path = path.with_name(f"{path.name}.{self._written // log_frequency}")
        if self._open is None or self._open[0] != path:
            self.close()
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._open = (path, os.open(path, flags, 0o600))
        return self._open[1]

    def _failed(self, error: OSError) -> None:
        if not self._failing:
            logger.error("traces are lost: %s", error, extra={"file": str(self._path)})
        self._failing = True


@contextmanager
def open_trace_file(path: Path) -> Iterator[TraceFile]:
    """A file for traces, closed at the end."""
    file = TraceFile(path)
    try:
        yield file
    finally:
        file.close()
