"""Executes the parts of a batch that are missing: in this process, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from headrace.lifecycle.batches.answering import RowAnswers
from headrace.lifecycle.batches.answers import Answered, Refusal
from headrace.lifecycle.batches.journal import Journal
from headrace.lifecycle.batches.outputs import OutputForm
from headrace.lifecycle.tables import Rows, TableSource

PARTS_AT_ONCE = 2
"""While one is read or written, the other is answered."""


@dataclass(frozen=True, slots=True)
class FinishedPart:
    """A part that is to be kept: `write` writes its file."""

    index: int
    rows: int
    refusals: tuple[Refusal, ...]
    failed: int
    mark: int | None
    write: Callable[[Path], None]


Keep = Callable[[FinishedPart], Coroutine[Any, Any, None]]


class Execution(Protocol):
    """Has the missing parts of a batch answered, wherever that is."""

    @property
    def requests(self) -> int:
        """How many requests or runs it took so far."""

    async def run(self, source: TableSource, journal: Journal, keep: Keep) -> None:
        """Have all missing parts answered, each kept as soon as it is. Raises HeadraceError."""


class LocalExecution:
    """Reads and writes here, and has the rows answered by a predictor: replicas, or a session."""

    def __init__(self, answers: RowAnswers, form: OutputForm) -> None:
        self._answers = answers
        self._form = form

    @property
    def requests(self) -> int:
        """As Execution says."""
        return self._answers.predictor.requests

    async def run(self, source: TableSource, journal: Journal, keep: Keep) -> None:
        """As Execution says."""
        parts, reading = missing_parts(source, journal), asyncio.Lock()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(PARTS_AT_ONCE):
                    group.create_task(self._work(parts, reading, keep))
        except BaseExceptionGroup as failures:
            raise first_of(failures) from None

    async def _work(
        self, parts: Iterator[tuple[int, Rows]], reading: asyncio.Lock, keep: Keep
    ) -> None:
        while True:
            async with reading:
                part = await asyncio.to_thread(next, parts, None)
            if part is None:
                return
            index, rows = part
            found = await self._answers.answer(rows)
            write = _writer(self._form, found)
            refused = tuple(found.refusals)
            await keep(FinishedPart(index, len(rows), refused, len(refused), rows.mark, write))


def _writer(form: OutputForm, found: Answered) -> Callable[[Path], None]:
    return lambda path: form.write(path, found)


def missing_parts(source: TableSource, journal: Journal) -> Iterator[tuple[int, Rows]]:
    """Yield the parts that are not finished, read from where each run of them begins."""
    plan, done = journal.plan, frozenset(journal.parts)
    for first, mark in list(journal.missing()):
        size, index = plan.rows_per_part, first
        for rows in source.chunks(size, first * size, mark):
            if index in done or _is_behind(plan.limit, rows.start):
                break
            yield index, _within(plan.limit, rows)
            index += 1


def _is_behind(limit: int | None, start: int) -> bool:
    return limit is not None and start >= limit


def _within(limit: int | None, rows: Rows) -> Rows:
    if limit is None or rows.start + len(rows) <= limit:
        return rows
    kept = rows.take(slice(0, limit - rows.start))
    return Rows(rows.start, kept.columns, rows.mark)


def first_of(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of what failed together."""
    first = failures.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
