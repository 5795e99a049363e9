"""GET /api/v1/rates: how often some models were called lately, for the lines beside their figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from headrace.service.http.requests import Request
from headrace_monitor.domain.queries.query_engine import Query, QueryEngine, Statistics
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.wire.console.api.api import Api, Make
from headrace_monitor.wire.sight import Sight

WINDOW_SECONDS, STEP_SECONDS = 900, 30
MAX_MODELS = 200
"""A page of models."""


class RatesApi:
    """Answers how often models of a list were called."""

    def __init__(self, engine: QueryEngine, sight: Sight) -> None:
        self._engine = engine
        self._sight = sight

    def add_to(self, api: Api) -> None:
        """Add the route."""
        api.get("/rates", self._rates)

    async def _rates(self, request: Request) -> Make:
        asked = request.head.query.get("models", "").split(",")
        names = frozenset(islice(filter(None, asked), MAX_MODELS))
        query = self._sight.of(Query(window_ns=WINDOW_SECONDS * NANOSECONDS))
        sees = query.is_seen
        query = replace(query, is_seen=lambda name: name in names and (not sees or sees(name)))
        steps = await self._engine.series(query, STEP_SECONDS * NANOSECONDS)
        return lambda: rates_json(steps)


def rates_json(steps: Sequence[Statistics]) -> dict[str, object]:
    """For each model that was called, its requests a second in each step."""
    counts = [_by_model(step) for step in steps]
    names = sorted({name for each in counts for name in each})
    return {
        "step_seconds": STEP_SECONDS,
        "models": {name: [each.get(name, 0.0) for each in counts] for name in names},
    }


def _by_model(step: Statistics) -> dict[str, float]:
    rates: dict[str, float] = defaultdict(float)
    for each in step.versions:
        rates[each.series.model] += each.requests_per_second
    return rates
