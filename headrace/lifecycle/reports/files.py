"""The files of a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

MEDIA_TYPES = {".html": "text/html", ".json": "application/json", ".png": "image/png"}


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file by its name."""

    name: str
    data: bytes = field(repr=False)

    @property
    def media_type(self) -> str:
        """The type of its content, as its ending says."""
        return MEDIA_TYPES[Path(self.name).suffix]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole, or as it was before. Raises OSError."""
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
