"""The files of an audit folder: every change as a line, in the order of the log, for its owner alone.

A file is ended when it is large, and never written again. Their names sort in the order of their lines.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from headrace import errors
from headrace.state.stored_changes import StoredChange, line_of, read_line

logger = logging.getLogger(__name__)

_PATTERN = "*-changes-*.jsonl"
_TAIL_BYTES = 1 << 20
"""The last line is looked for here at first; changes are a few kB mostly."""


class AuditFiles:
    """The files of one namespace. `open` reads how far they go; all methods raise OSError."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._file: Path | None = None
        self.last: tuple[int, str] = (0, "")
        """The revision and the hash of the last change that is there."""

    def open(self) -> None:
        """Make the folder, and find the last change. A line that was cut short is taken away."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = sorted(self._folder.glob(_PATTERN))
        self._file = files[-1] if files else None
        for file in reversed(files):
            if (found := _last_line(file)) is not None:
                self.last = found
                return
        self.last = (0, "")

    def begin_another(self) -> None:
        """Go on in a new file, with changes of another history than those so far."""
        self._file, self.last = None, (0, "")

    def append(self, entries: Sequence[StoredChange]) -> None:
        """Write the next changes, durably."""
        if self._file is None or self._is_full(self._file):
            self._file = self._next_file(entries[0].revision)
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            end = file.tell()
            try:
                file.writelines(line_of(entry.entry) for entry in entries)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(descriptor, end)  # or the next try would follow on half a line
                raise
        self.last = (entries[-1].revision, entries[-1].hash)

    def _is_full(self, file: Path) -> bool:
        return file.exists() and file.stat().st_size >= self._max_bytes

    def _next_file(self, revision: int) -> Path:
        numbers = [int(file.name.partition("-")[0]) for file in self._folder.glob(_PATTERN)]
        return self._folder / f"{max(numbers, default=0) + 1:06}-changes-{revision}.jsonl"


def _last_line(file: Path) -> tuple[int, str] | None:
    """The last change of a file, or None where it has none."""
    with file.open("r+b") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - _TAIL_BYTES))
        tail = opened.read()
        if size > _TAIL_BYTES and tail.count(b"\n") < 2:
            opened.seek(0)
            tail = opened.read()
        whole = tail[: tail.rfind(b"\n") + 1]
        if len(whole) < len(tail):
            logger.warning("a line of an audit file was cut short, and is taken away: %s", file)
            opened.truncate(size - len(tail) + len(whole))
    lines = whole.splitlines()
    if not lines:
        return None
    try:
        entry, _ = read_line(lines[-1])
    except errors.DataLoss as error:
        raise OSError(f"the last line of {file} cannot be read: {error.message}") from error
    return entry.revision, entry.hash
