"""Traces on disk: one JSON object a line, written by a thread beside the requests."""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace_inference.adapters.trace_lines import lines_of
from headrace_inference.domain.extensions.trace_records import TracedBatch

logger = logging.getLogger(__name__)

MAX_WAITING_BYTES = 2**25
"""What traces that are not written yet may hold: 65,536 of them without tensors."""

REST_SECONDS = 0.05
"""The writer's pause: traces are gathered meanwhile, and written together."""

LINES_TOGETHER = 256
"""So many lines are made at a time: meanwhile nobody else has the interpreter."""


class TraceFile:
    """Appends traces to a file, or to PATH.0, PATH.1 … where each is to have so many.

    A write has whole lines, so that several processes may share a file. Traces that find no room, because
    the disk does not keep up, are dropped, counted and logged; a disk that does not take a trace is logged
    once. Neither costs a request.
    """

    def __init__(self, path: Path, most_bytes: int = MAX_WAITING_BYTES, first_id: int = 0) -> None:
        self._first_id = first_id
        self.dropped = 0
        self._path = path
        self._most_bytes = most_bytes
        self._mutex = threading.Lock()  # guards the next two, and `dropped`
        self._waiting: deque[TracedBatch] = deque()
        self._waiting_bytes = 0
        self._there = threading.Event()
        self._closing = threading.Event()
        self._told_dropped = 0
        self._written = 0
        self._open: tuple[Path, int] | None = None
        self._failing = False

    def keep(self, batch: TracedBatch) -> None:
        """Have these traces written soon."""
        size = batch.size
        with self._mutex:
            if self._waiting_bytes + size > self._most_bytes:
                self.dropped += len(batch.facts)
                return
            self._waiting_bytes += size
            self._waiting.append(batch)
        if not self._there.is_set():
            self._there.set()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write in a thread while inside; on leaving, all that waits."""
        self._closing.clear()
        thread = threading.Thread(target=self._run, name="traces", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._closing.set()
            self._there.set()
            thread.join()
            self._close()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._there.wait()
            self._there.clear()
            self._write_waiting()
            self._closing.wait(REST_SECONDS)
        self._write_waiting()

    def _write_waiting(self) -> None:
        """Write what waits, and tell what was dropped."""
        while self._waiting:
            lines = 0
            batches: list[TracedBatch] = []
            with self._mutex:
                while self._waiting and lines < LINES_TOGETHER:
                    batch = self._waiting.popleft()
                    self._waiting_bytes -= batch.size
                    lines += len(batch.facts)
                    batches.append(batch)
            for frequency, together in itertools.groupby(batches, lambda one: one.log_frequency):
                self._write(list(together), frequency)
        if self._told_dropped != (dropped := self.dropped):
            extra = {"file": str(self._path), "dropped": dropped - self._told_dropped}
            logger.warning("traces were dropped: writing them did not keep up", extra=extra)
            self._told_dropped = dropped

    def _write(self, batches: list[TracedBatch], frequency: int) -> None:
        lines: list[str] = []
        for batch in batches:
            lines += lines_of(batch, self._first_id + self._written + len(lines))
        while lines:
            room = frequency - self._written % frequency if frequency else len(lines)
            now, lines = lines[:room], lines[room:]
            try:
                self._append("".join(now).encode(), frequency)
            except OSError as error:
                self._failed(error)
                return
            self._failing = False
            self._written += len(now)

    def _append(self, data: bytes, frequency: int) -> None:
        descriptor = self._descriptor(frequency)
        while data:
            data = data[os.write(descriptor, data) :]

    def _descriptor(self, log_frequency: int) -> int:
        path = self._path
        if log_frequency:
            path = path.with_name(f"{path.name}.{self._written // log_frequency}")
        if self._open is None or self._open[0] != path:
            self._close()
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._open = (path, os.open(path, flags, 0o600))
        return self._open[1]

    def _close(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def _failed(self, error: OSError) -> None:
        if not self._failing:
            logger.error("traces are lost: %s", error, extra={"file": str(self._path)})
        self._failing = True


@contextmanager
def open_trace_file(path: Path, first_id: int = 0) -> Iterator[TraceFile]:
    """A file for traces, which are numbered from `first_id` on; whoever leaves has all of them written."""
    file = TraceFile(path, first_id=first_id)
    with file.writing():
        yield file
