"""Rows of a table, by their columns, and what can be read as such."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from headrace.errors import InvalidArgument

Array = npt.NDArray[Any]
MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "None"})
"""Texts that stand for no value, where a number is wanted."""
_DAMAGED = (OSError, ValueError, OverflowError, RecursionError, MemoryError, EOFError)
"""Raised of files that are damaged or made to be: a text that is no UTF-8 is a ValueError."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows, the first of them at place `start` in the table (from 0).

    Each column is an array with the rows first: numbers, or objects (`str`, `bytes`, lists; None: missing).
    """

    start: int
    columns: Mapping[str, Array]
    mark: int | None = None
    """Where the next row begins in the file, for who reads on later; None where `start` says enough."""

    def __len__(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values()), ()))

    def take(self, places: Any) -> Rows:
        """The rows at these places, counted from the first of them."""
        chosen = {name: column[places] for name, column in self.columns.items()}
        return Rows(self.start, chosen)


class TableSource(Protocol):
    """Something that has rows with named columns, and can be read again and again."""

    @property
    def name(self) -> str:
        """The name for people."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""

    def digest(self) -> str:
        """The SHA-256 of the bytes, 64 hex digits; of a folder, over the paths and digests of its files."""

    def count(self) -> int | None:
        """The number of rows; None where only reading all of them would tell."""

    def chunks(self, rows: int, start: int = 0, mark: int | None = None) -> Iterator[Rows]:
        """Yield the rows from place `start` on, so many at a time; only the last are fewer.

        `mark` is that of the rows which end at `start`: with it nothing before it is read.
        Raises InvalidArgument (ROWS_INVALID).
        """


def read_all(source: TableSource, limit: int | None = None) -> Rows:
    """All rows, or the first `limit`. Raises InvalidArgument (ROWS_INVALID), also where there are none."""
    found: list[Rows] = []
    left = limit if limit is not None else -1
    for chunk in source.chunks(8192):
        if left == 0:
            break
        found.append(chunk if left < 0 or len(chunk) <= left else chunk.take(slice(0, left)))
        left -= len(found[-1]) if left > 0 else 0
    if not found:
        raise invalid(f"{source.name} has no rows")
    joined = {
        name: joined_columns([rows.columns[name] for rows in found]) for name in source.columns
    }
    return Rows(0, joined)


def joined_columns(parts: list[Array]) -> Array:
    """One column of its pieces; numbers of several kinds stay what they are, as objects."""
    if len({part.shape[1:] for part in parts}) > 1:  # lists, of one length in some pieces
        parts = [np.fromiter(part.tolist(), dtype=object, count=len(part)) for part in parts]
    if len({part.dtype.kind for part in parts}) > 1:
        parts = [part.astype(object) for part in parts]
    return np.concatenate(parts)


def numbers_of(column: Array, what: str, start: int = 0) -> npt.NDArray[np.float64]:
    """A column as numbers, missing values as NaN. Raises InvalidArgument (ROWS_INVALID) naming the row."""
    if column.dtype.kind in "fiub":
        return column.astype(np.float64)
    quick = _quick_numbers(column)
    if quick is not None:
        return quick
    try:
        return np.array([_number(value) for value in column.ravel()]).reshape(column.shape)
    except (TypeError, ValueError, OverflowError):
        place, value = next(
            (place, value) for place, value in enumerate(column) if not _is_number(value)
        )
        raise invalid(
            f"{what} takes numbers, and has {value!r:.100} in row {start + place + 1}"
        ) from None


def _quick_numbers(column: Array) -> npt.NDArray[np.float64] | None:
    """All at once, where each is a number or its text; a missing one takes a look at each."""
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


@contextmanager
def readable(name: str, form: str, *errors: type[Exception]) -> Iterator[None]:
    """Tell of what a library finds wrong with a file as of what cannot be used, whoever made the file."""
    damaged: tuple[type[Exception], ...] = (*_DAMAGED, *errors)
    try:
        yield
    except damaged as error:
        what = f"{error}" or type(error).__name__
        raise invalid(f"{name} is no {form}: {what:.300}") from error


def is_text(text: str) -> bool:
    """Return whether a text can be written as UTF-8: halves of characters cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def distinct(names: Iterable[str], file: str) -> tuple[str, ...]:
    """The names of columns, which are texts, one at least, all different. Raises InvalidArgument."""
    found = tuple(names)
    if not found:
        raise invalid(f"{file} has no columns")
    if len(set(found)) != len(found):
        raise invalid(f"two columns of {file} have the same name")
    if not all(map(is_text, found)):
        raise invalid(f"the name of a column of {file} is no text that can be written")
    return found


def invalid(what: str) -> InvalidArgument:
    """An error of data that cannot be used."""
    return InvalidArgument("ROWS_INVALID", what)


def _number(value: object) -> float:
    if value is None or (isinstance(value, str) and value.strip() in MISSING):
        return np.nan
    return float(value)  # type: ignore[arg-type]  # what is no number raises


def _is_number(value: object) -> bool:
    try:
        _number(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
