"""The figures of the last minute by model and version, shared by all who look at lists."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.telemetry.costs import Prices
from headrace_monitor.domain.queries.query_engine import (
    Query,
    QueryEngine,
    ReplicaStatistics,
    Statistics,
    VersionStatistics,
)
from headrace_monitor.domain.replicas.gaps import Gap
from headrace_monitor.domain.telemetry.report import NANOSECONDS

WINDOW_SECONDS = 60
NO_PRICES = Prices()
MAX_AGE_SECONDS = 2.0
"""Lists of all models are asked for every second by each page that is open: they share an answer."""


@dataclass(frozen=True, slots=True)
class RecentFigures:
    """What versions did in the last minute, by model and number; number 0 is what reached none."""

    models: Mapping[str, Mapping[int, VersionStatistics]] = field(default_factory=dict)
    replicas: Mapping[str, ReplicaStatistics] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    seconds: float = float(WINDOW_SECONDS)
    """The time that is covered: counts are divided by it."""
    prices: Prices = NO_PRICES

    def of(self, model: str) -> Mapping[int, VersionStatistics]:
        """The figures of a model's versions."""
        return self.models.get(model, {})


class RecentFiguresCache:
    """Asks for them, at most every other second."""

    def __init__(self, engine: QueryEngine, prices: Prices = NO_PRICES) -> None:
        self._engine = engine
        self._prices = prices
        self._asking = asyncio.Lock()
        self._figures = RecentFigures()
        self._asked_at = float("-inf")

    async def get(self) -> RecentFigures:
        """The figures, at most two seconds old."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if now - self._asked_at > MAX_AGE_SECONDS:
                query = Query(window_ns=WINDOW_SECONDS * NANOSECONDS)
                self._figures = _sorted(await self._engine.statistics(query), self._prices)
                self._asked_at = asyncio.get_running_loop().time()
            return self._figures


def _sorted(statistics: Statistics, prices: Prices) -> RecentFigures:
    models: dict[str, dict[int, VersionStatistics]] = defaultdict(dict)
    for version in statistics.versions:
        models[version.series.model][version.series.version] = version
    replicas = {replica.replica: replica for replica in statistics.replicas}
    return RecentFigures(dict(models), replicas, statistics.gaps, statistics.rate_seconds, prices)
