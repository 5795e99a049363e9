"""Takes reports in: all that wait are merged and stored together, then each caller is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast

from headrace import errors
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.ingestion.books import Book, BookChanges
from headrace_monitor.domain.ingestion.shelf import Shelf
from headrace_monitor.domain.ledger.ledger import Ledger, LedgerSnapshot
from headrace_monitor.domain.limits import DEFAULT_LIMITS, Limits
from headrace_monitor.domain.replicas.reporter_limit import ReporterLimit
from headrace_monitor.domain.telemetry.report import Report
from headrace_monitor.domain.threads import Result, run_in

logger = logging.getLogger(__name__)

MAX_WAITING = 10_000
"""Versions in reports that may wait for the store, 12 kB each with the usual four histograms: one with more
counts as several, an empty report as one."""

IDLE_SECONDS = 60.0
"""Where no report comes, what grew too old is dropped so often."""


class Store(Protocol):
    """Keeps the ledger's data, and that of books by their names, over the end of the process."""

    async def save(self, changes: LedgerSnapshot, books: Mapping[str, BookChanges]) -> None:
        """Store all changes or none; Unavailable where that cannot be done now."""

    async def entries_of(self, book: str) -> list[tuple[bytes, bytes]]:
        """Read all entries of a book."""


Change = Callable[[], object]
"""Changes a book in the thread of the reports."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a caller is told once it is stored."""

    result: object = None
    error: Exception | None = None


class Ingestion:
    """Accepts reports while it is open. Only its own job changes the ledger and books, and in `thread`."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        clock: Clock,
        reporter_limit: ReporterLimit,
        thread: Executor | None = None,
        books: Sequence[Book] = (),
    ) -> None:
        self._thread = thread
        self.shelf = Shelf(books)
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._reporter_limit = reporter_limit
        self._waiting_versions = 0
        self._waiting: list[tuple[Report | Change, asyncio.Future[object]]] = []
        self._arrived = asyncio.Event()
        self._stopping = False
        self.failed = False

    async def accept(self, report: Report, reporter: str = "") -> int:
        """Merge and store a report, and give its sequence number back once it is stored.

        `reporter` is who sends it. Raises PermissionDenied (REPLICA_ID_TAKEN) where the replica is
        another's, ResourceExhausted (INTAKE_FULL, TOO_MANY_REPLICAS) when too many wait or report, and
        Unavailable where it could not be stored: then it has to be sent again, and will still be merged
        only once.
        """
        if self._waiting_versions >= MAX_WAITING:
            raise _full()
        self._reporter_limit.admit(report.replica, self._clock().steady_ns, reporter)
        self._waiting_versions += report.weight
        await self._enter(report)
        return report.sequence

    async def apply(self, change: Callable[[], Result]) -> Result:
        """Run `change`, which changes a book, and give its result once that is stored.

        Raises what it raises (a HeadraceError, where nothing is to be stored of it), ResourceExhausted
        (INTAKE_FULL), and Unavailable where it could not be stored now; it may be stored later then.
        """
        if self._waiting_versions >= MAX_WAITING:
            raise _full()
        self._waiting_versions += 1
        return cast("Result", await self._enter(change))

    async def _enter(self, one: Report | Change) -> object:
        stored: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, stored))
        self._arrived.set()
        return await stored

    async def run_in_thread(self, work: Callable[[], Result]) -> Result:
        """Run `work` in the thread of the reports: one large report is read at a time."""
        return await run_in(self._thread, work)

    async def run(self) -> None:
        """Store what waits, until it is stopped."""
        while not self._stopping or self._waiting:
            await self._wait_for_reports()
            if self._stopping and not self._waiting:
                return
            self._arrived.clear()
            batch, self._waiting = self._waiting, []
            self._waiting_versions = 0
            await self._store_all(batch)

    async def store_checkpoint(self) -> None:
        """Store everything at once, so that the next start reads no reports again. Not while `run` runs."""
        await self._try_to_save(*await run_in(self._thread, self._checkpoint))

    def _checkpoint(self) -> tuple[LedgerSnapshot, Mapping[str, BookChanges]]:
        moment = self._clock()
        return self._ledger.checkpoint(moment), self.shelf.changes(moment)

    def stop(self) -> None:
        """Let `run` end once it has stored what waits."""
        self._stopping = True
        self._arrived.set()

    async def _wait_for_reports(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS):
                await self._arrived.wait()

    async def _store_all(
        self, batch: Sequence[tuple[Report | Change, asyncio.Future[object]]]
    ) -> None:
        outcomes, changes, of_books = await run_in(
            self._thread, lambda: self._take_in([one for one, _ in batch])
        )
        failure = await self._try_to_save(changes, of_books)
        self._answer(batch, outcomes, failure)

    def _answer(
        self,
        batch: Sequence[tuple[Report | Change, asyncio.Future[object]]],
        outcomes: Sequence[_Outcome],
        failure: errors.Unavailable | None,
    ) -> None:
        for (_, stored), outcome in zip(batch, outcomes, strict=True):
            if stored.done():  # its caller went away
                continue
            if error := outcome.error or failure:
                stored.set_exception(error)
            else:
                stored.set_result(outcome.result)

    def _take_in(
        self, batch: Iterable[Report | Change]
    ) -> tuple[list[_Outcome], LedgerSnapshot, Mapping[str, BookChanges]]:
        outcomes = [
            self._merge(one) if isinstance(one, Report) else _outcome_of(one) for one in batch
        ]
        moment = self._clock()
        changes = self._ledger.changes(moment)
        return outcomes, changes, self.shelf.changes(moment)

    def _merge(self, report: Report) -> _Outcome:
        moment = self._clock()
        counted = self._ledger.merge(report, moment)
        if counted is not None:
            self.shelf.merge(counted, moment)
        return _Outcome()

    async def _try_to_save(
        self, changes: LedgerSnapshot, of_books: Mapping[str, BookChanges]
    ) -> errors.Unavailable | None:
        # What was merged stays among the changes until a save succeeds, so a report that is sent again
        # after a failed one is answered when it really is stored.
        try:
            await self._store.save(changes, of_books)
        except errors.Unavailable as error:
            self._log_failure(error)
            self.failed = True
            return error
        self._ledger.mark_stored(changes)
        self.shelf.mark_stored(of_books.keys())
        self.failed = False
        return None

    def _log_failure(self, error: errors.Unavailable) -> None:
        if not self.failed:
            logger.error("telemetry cannot be stored: %s", error, extra={"reason": error.reason})


@asynccontextmanager
async def open_ingestion(
    ledger: Ledger,
    store: Store,
    clock: Clock,
    limits: Limits = DEFAULT_LIMITS,
    thread: Executor | None = None,
    books: Sequence[Book] = (),
) -> AsyncIterator[Ingestion]:
    """Open an ingestion that works while inside, merging in `thread`; its failure ends what is inside.

    The books are given what was stored of them.
    """
    heard_ns = {key.replica: session.seen_ns for key, session in ledger.sessions.items()}
    ingestion = Ingestion(
        ledger, store, clock, ReporterLimit(limits.replicas, heard_ns), thread, books
    )
    for name in ingestion.shelf:
        await run_in(thread, partial(ingestion.shelf.restore, name, await store.entries_of(name)))
    async with asyncio.TaskGroup() as jobs:
        job = jobs.create_task(ingestion.run())
        try:
            yield ingestion
        finally:
            ingestion.stop()
            await asyncio.wait((job,))
            if not job.cancelled() and not job.exception():  # else something may be counted in part
                await ingestion.store_checkpoint()


def _outcome_of(change: Change) -> _Outcome:
    try:
        return _Outcome(change())
    except Exception as error:  # noqa: BLE001  # its caller gets it, and nobody else is held up
        return _Outcome(error=error)


def _full() -> errors.ResourceExhausted:
    return errors.ResourceExhausted(
        "INTAKE_FULL",
        f"reports of {MAX_WAITING} versions wait to be stored, the most allowed; send this one again later",
        retry_after_seconds=1.0,
    )
