"""Opens the ledger with its store, and the two threads that work on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from headrace_monitor.adapters.system_time import SystemTime
from headrace_monitor.adapters.window_store import WindowStore, open_window_store
from headrace_monitor.app.peers import open_query_engine
from headrace_monitor.domain.clock import Clock, TimeSource, start_clock
from headrace_monitor.domain.ledger.ledger import Ledger
from headrace_monitor.domain.ledger.windows import resolutions
from headrace_monitor.domain.queries.query_engine import QueryEngine
from headrace_monitor.settings import Settings

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class LedgerParts:
    """The ledger, where it is stored, and what works on it."""

    ledger: Ledger
    store: WindowStore
    clock: Clock
    reports: Executor
    """The thread that merges reports."""
    questions: Executor
    """The thread that answers."""
    query_engine: QueryEngine


@asynccontextmanager
async def open_ledger(settings: Settings, times: TimeSource | None) -> AsyncIterator[LedgerParts]:
    """Yield the parts; all are closed on leaving. Raises as `open_window_store` does."""
    async with open_window_store(settings.data) as (store, snapshot):
        source = times or SystemTime()
        clock = start_clock(source, snapshot.steady_ns or source.now_ns())
        ledger = Ledger(
            resolutions(settings.kept_hours),
            settings.window_memory_mb * _MIB,
            snapshot,
            clock(),
            settings.limits,
        )
        with (
            ThreadPoolExecutor(1, "reports") as reports,
            ThreadPoolExecutor(1, "questions") as questions,
        ):
            async with open_query_engine(settings, ledger, clock, questions) as query_engine:
                yield LedgerParts(ledger, store, clock, reports, questions, query_engine)
