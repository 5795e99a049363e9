"""All books together: one that fails costs what it keeps, and no report, no other book, no process."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ingestion.books import Book, BookChanges
from headrace_monitor.domain.telemetry.report import Report
from headrace_monitor.domain.threads import Result

logger = logging.getLogger(__name__)


class Shelf:
    """Has every book do something, whatever another does. A replica sends a report again until it is
    taken: what makes one book fail would otherwise end the process at each start."""

    def __init__(self, books: Sequence[Book]) -> None:
        self._books = {book.name: book for book in books}
        self.faults: Counter[str] = Counter()
        """By book, how often it failed."""

    def __iter__(self) -> Iterator[str]:
        return iter(self._books)

    def restore(self, name: str, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Have a book take up what was stored of it."""
        self._try(name, lambda: self._books[name].restore(entries))

    def merge(self, report: Report, moment: Moment) -> None:
        """Have each book take what a report has for it."""
        for name, book in self._books.items():
            self._try(name, lambda book=book: book.merge(report, moment))  # type: ignore[misc]

    def changes(self, moment: Moment) -> Mapping[str, BookChanges]:
        """What differs from what is stored, by book; without those that cannot tell."""
        found = {
            name: self._try(name, lambda book=book: book.changes(moment))  # type: ignore[misc]
            for name, book in self._books.items()
        }
        return {name: changes for name, changes in found.items() if changes is not None}

    def mark_stored(self, names: Collection[str]) -> None:
        """Tell the books whose changes are stored."""
        for name in names:
            self._try(name, self._books[name].mark_stored)

    def _try(self, name: str, work: Callable[[], Result]) -> Result | None:
        try:
            return work()
        except Exception:
            self.faults[name] += 1
            count = self.faults[name]
            if not count & (count - 1):  # the first, and ever more rarely: reports come each second
                logger.exception(
                    "a book failed: what it keeps may lack something",
                    extra={"book": name, "faults": count},
                )
            return None
