"""A folder as a table: a row for each file, by path; the names of subfolders are classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headrace.lifecycle.tables.digests import folder_digest
from headrace.lifecycle.tables.rows import Rows, invalid, is_text
from headrace.lifecycle.tables.text_files import objects

FILE, PATH, CLASS = "file", "path", "class"
"""The columns: the file to read, its path in the folder with '/', and the subfolder that it lies in."""


class Folder:
    """The files of a folder and its subfolders, by path; hidden ones are none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = folder.name
        self.columns = (FILE, PATH, CLASS)
        self._paths = sorted(
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and not _is_hidden(path.relative_to(folder))
        )
        if not self._paths:
            raise invalid(f"there are no files in {folder}")
        odd = next((path for path in self._paths if not is_text(path)), None)
        if odd is not None:
            raise invalid(f"the name of {odd!a} in {folder} is not in UTF-8: rename it")

    def digest(self) -> str:
        """The SHA-256 over the paths and digests of its files."""
        return folder_digest(self._folder, self._paths)

    def count(self) -> int:
        """The number of files."""
        return len(self._paths)

    def chunks(
        self,
        rows: int,
        start: int = 0,
        mark: int | None = None,  # noqa: ARG002  # the place says it
    ) -> Iterator[Rows]:
        """Yield a row for each file; FILE has paths that can be opened."""
        for place in range(start, len(self._paths), rows):
            some = self._paths[place : place + rows]
            yield Rows(
                place,
                {
                    FILE: objects([self._folder / path for path in some]),
                    PATH: objects(some),
                    CLASS: objects([path.rpartition("/")[0] for path in some]),
                },
            )


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
