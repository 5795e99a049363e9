"""The thread that writes the payload log: records become files, old files go."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.errors import HeadraceError
from headrace.payload_log.formats import Format, line_of, parquet_of
from headrace.payload_log.places import LoggedFile, Place, file_name
from headrace.payload_log.records import PayloadRecord
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.payloads.record_making import RecordMaker
from headrace_inference.domain.payloads.taking import PayloadTaker

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.5
FILE_BYTES = 8 * 2**20
"""After so many bytes of JSON a file is written."""
_DAY = 86_400.0
_FAILURES = (OSError, HeadraceError)


@dataclass(frozen=True, slots=True)
class Keeping:
    """Which files are kept, and when one is written."""

    file_format: Format
    file_seconds: float
    keep_days: float
    max_bytes: int


class PayloadLog:
    """Writes what the taker took. All but the counts belong to its thread."""

    def __init__(
        self,
        taker: PayloadTaker,
        maker: RecordMaker,
        place: Place,
        keeping: Keeping,
        replica: str,
        clock: Clock,
    ) -> None:
        self._taker, self._maker, self._place, self._keeping = taker, maker, place, keeping
        self._replica, self._clock = replica, clock
        self._records: list[PayloadRecord] = []
        self._lines: list[bytes] = []
        self._bytes = 0
        self._began = 0.0
        self._files = 0
        self._fails = False
        self.written = 0
        """Requests that are in files."""
        self.lost = 0
        """Requests whose file could not be written."""

    @property
    def dropped(self) -> int:
        """Return how many requests were chosen and left out."""
        return self._taker.dropped

    def tick(self) -> None:
        """Make records of what came, and write them once they are many or old."""
        for taken in self._taker.drain():
            try:
                self._add(self._maker.make(taken))
            except Exception as error:  # noqa: BLE001  # it costs a record, and must cost no answer
                self.lost += 1
                self._tell("a request could not be logged", error)
            if self._bytes >= FILE_BYTES:
                self.write()
        if self._records and self._now() - self._began >= self._keeping.file_seconds:
            self.write()

    def write(self) -> None:
        """Write what came together, and remove what is too old or too much."""
        records, lines = self._records, self._lines
        if not records:
            return
        self._records, self._lines, self._bytes = [], [], 0
        self._files += 1
        file_format = self._keeping.file_format
        name = file_name(self._began, self._replica, self._files, file_format)
        try:
            data = parquet_of(records) if file_format == "parquet" else b"".join(lines)
            self._place.put(name, data)
        except _FAILURES as error:
            self.lost += len(records)
            self._tell("the payload log cannot be written, and records are lost", error)
            return
        self.written += len(records)
        self._fails = False
        self._remove_old()

    def _remove_old(self) -> None:
        try:
            files = self._place.files()
            self._place.remove(
                [file.name for file in out_of_bounds(files, self._keeping, self._now())]
            )
        except _FAILURES as error:
            self._tell("old files of the payload log cannot be removed", error)

    def _add(self, record: PayloadRecord) -> None:
        if not self._records:
            self._began = self._now()
        line = line_of(record)
        self._records.append(record)
        self._lines.append(line)
        self._bytes += len(line)

    def _tell(self, message: str, error: Exception) -> None:
        """Log it once, until a file was written again."""
        if not self._fails:
            logger.warning("%s: %s: %s", message, type(error).__name__, error)
        self._fails = True

    def _now(self) -> float:
        return self._clock.wall_ns() / 1e9


def out_of_bounds(files: list[LoggedFile], keeping: Keeping, now: float) -> list[LoggedFile]:
    """The files that are not kept, of all from the oldest on."""
    total = sum(file.size_bytes for file in files)
    gone = []
    for file in files:
        is_old = keeping.keep_days and file.began < now - keeping.keep_days * _DAY
        if not (is_old or (keeping.max_bytes and total > keeping.max_bytes)):
            continue
        gone.append(file)
        total -= file.size_bytes
    return gone


@contextmanager
def writing(log: PayloadLog) -> Iterator[None]:
    """Write while inside, in a thread that writes what is left at the end, and is joined."""
    closing = threading.Event()

    def run() -> None:
        while not closing.wait(TICK_SECONDS):
            log.tick()
        log.tick()
        log.write()

    thread = threading.Thread(target=run, name="payload-log", daemon=True)
    thread.start()
    try:
        yield
    finally:
        closing.set()
        thread.join()
