"""The output of a command, on disk: its newest part, however much it prints."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

PART_BYTES = 32 << 20
"""Of the present part; one before it is kept, too."""
_TAIL_BYTES = 800


class OutputLog:
    """Appends to a file; one that grows too long becomes `NAME.1`, in the place of the one before.

    A disk that is full ends no training: what has no room is left out.
    """

    def __init__(self, path: Path, part_bytes: int = PART_BYTES) -> None:
        self._path, self._part_bytes = path, part_bytes
        self._file = path.open("ab", buffering=0)

    def write(self, piece: bytes) -> None:
        """Append a piece."""
        with suppress(OSError):
            self._file.write(piece)
            if self._file.tell() >= self._part_bytes:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
                self._file.close()
                self._file = self._path.open("ab", buffering=0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def end_of(log: Path) -> str:
    """The last lines of a log, for a message; '' where there are none."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = file.read().decode(errors="replace").strip()
        if text:
            return f"; the end of {log}:\n{text}"
    return ""
