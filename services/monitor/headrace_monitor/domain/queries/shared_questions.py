"""Answers questions from this monitor's ledger and those of its peers, to which other replicas report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from headrace_monitor.domain.clock import Clock, Moment
from headrace_monitor.domain.ledger.ledger import Ledger
from headrace_monitor.domain.queries.merging import merged
from headrace_monitor.domain.queries.query_engine import Query, QueryEngine, Statistics
from headrace_monitor.domain.queries.time_ranges import TimeRange
from headrace_monitor.domain.replicas.gaps import Gap, Reason


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """What another monitor was told of some steps."""

    monitor: str
    read: Callable[[], Sequence[Statistics]] | None
    """Reads the answer, which may be long; None where the monitor is away."""


class Peers(Protocol):
    """The other monitors of the suite."""

    async def ask(self, query: Query, steps: Sequence[TimeRange]) -> Sequence[PeerAnswer]:
        """Ask each of them."""


class SharedQueryEngine(QueryEngine):
    """Answers for all monitors; a peer that does not answer is a gap in the answer."""

    def __init__(self, ledger: Ledger, clock: Clock, thread: Executor | None, peers: Peers) -> None:
        super().__init__(ledger, clock, thread)
        self._peers = peers

    async def _answered(
        self, query: Query, steps: list[TimeRange], moment: Moment
    ) -> list[Statistics]:
        own, others = await asyncio.gather(
            super()._answered(query, steps, moment), self._peers.ask(query, steps)
        )
        return await self.run_in_thread(lambda: _together(query, own, others))


def _together(
    query: Query, own: Sequence[Statistics], others: Sequence[PeerAnswer]
) -> list[Statistics]:
    read = [list(each.read()) for each in others if each.read is not None]
    away = [each.monitor for each in others if each.read is None]
    return [
        merged(
            [
                step.with_gaps(_away(monitor, step.time_range) for monitor in away),
                *(answer[place].seen_by(query) for answer in read),
            ]
        )
        for place, step in enumerate(own)
    ]


def _away(monitor: str, time_range: TimeRange) -> Gap:
    return Gap(Reason.MONITOR_AWAY, time_range.start_ns, time_range.end_ns, monitor=monitor)
