"""Takes reports in: all that wait are merged and stored together, then each caller is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from headrace import errors
from headrace_monitor.domain.clock import Clock
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
    """Keeps the ledger's data over the end of the process."""

    async def save(self, changes: LedgerSnapshot) -> None:
        """Store all changes or none; Unavailable where that cannot be done now."""


class Ingestion:
    """Accepts reports while it is open. Only its own job changes the ledger, and does so in `thread`."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        clock: Clock,
        reporter_limit: ReporterLimit,
        thread: Executor | None = None,
    ) -> None:
        self._thread = thread
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._reporter_limit = reporter_limit
        self._waiting_versions = 0
        self._waiting: list[tuple[Report, asyncio.Future[int]]] = []
        self._arrived = asyncio.Event()
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
        stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((report, stored))
        self._arrived.set()
        return await stored

    async def run_in_thread(self, work: Callable[[], Result]) -> Result:
        """Run `work` in the thread of the reports: one large report is read at a time."""
        return await run_in(self._thread, work)

    async def run(self) -> None:
        """Store what waits, for ever."""
        while True:
            await self._wait_for_reports()
            self._arrived.clear()
            batch, self._waiting = self._waiting, []
            self._waiting_versions = 0
            await self._store_all(batch)

    async def _wait_for_reports(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS):
                await self._arrived.wait()

    async def _store_all(self, batch: list[tuple[Report, asyncio.Future[int]]]) -> None:
        changes = await run_in(self._thread, lambda: self._merge(report for report, _ in batch))
        error = await self._try_to_save(changes)
        for report, stored in batch:
            if stored.done():  # its caller went away
                continue
            if error is None:
                stored.set_result(report.sequence)
            else:
                stored.set_exception(error)

    def _merge(self, reports: Iterable[Report]) -> LedgerSnapshot:
        for report in reports:
            self._ledger.merge(report, self._clock())
        return self._ledger.changes(self._clock())

    async def _try_to_save(self, changes: LedgerSnapshot) -> errors.Unavailable | None:
        # What was merged stays among the ledger's changes until a save succeeds, so a report that is sent
        # again after a failed one is answered when it really is stored.
        try:
            await self._store.save(changes)
        except errors.Unavailable as error:
            self._log_failure(error)
            self.failed = True
            return error
        self._ledger.mark_stored()
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
) -> AsyncIterator[Ingestion]:
    """Open an ingestion that works while inside, merging in `thread`; its failure ends what is inside."""
    heard_ns = {key.replica: session.seen_ns for key, session in ledger.sessions.items()}
    ingestion = Ingestion(ledger, store, clock, ReporterLimit(limits.replicas, heard_ns), thread)
    async with asyncio.TaskGroup() as jobs:
        job = jobs.create_task(ingestion.run())
        try:
            yield ingestion
        finally:
            job.cancel()


def _full() -> errors.ResourceExhausted:
    return errors.ResourceExhausted(
        "INTAKE_FULL",
        f"reports of {MAX_WAITING} versions wait to be stored, the most allowed; send this one again later",
        retry_after_seconds=1.0,
    )
