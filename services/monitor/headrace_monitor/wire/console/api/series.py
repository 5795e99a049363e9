"""GET /api/v1/models/{model}/series: what a model did step by step, and what was changed of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import cast

from headrace.service.http.requests import Request
from headrace.telemetry.histogram import Histogram
from headrace.telemetry.measures import (
    BATCHES,
    ERRORS,
    FIRST_TOKEN_TIME,
    GENERATED_TOKENS,
    PROMPT_TOKENS,
    QUEUE_TIME,
    ROUTES,
    SUCCESSES,
    TOKEN_GAP,
    TOTAL_TIME,
    Measure,
)
from headrace_monitor.domain.catalog.history import History
from headrace_monitor.domain.queries.query_engine import Query, QueryEngine, Statistics
from headrace_monitor.domain.replicas.gaps import Gap
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.domain.telemetry.tally import Tally
from headrace_monitor.wire.console.api import parameters
from headrace_monitor.wire.console.api.api import Api, Make
from headrace_monitor.wire.console.api.figures_json import gap_json, mean_batch_rows, quantile_ms
from headrace_monitor.wire.console.api.heat import heat_json
from headrace_monitor.wire.console.api.models import ModelHistories
from headrace_monitor.wire.sight import Sight

DEFAULT_SECONDS = 3600
MAX_STEPS = 500

Column = list[float | None]


class SeriesApi:
    """Answers what a model did over time."""

    def __init__(self, engine: QueryEngine, histories: ModelHistories, sight: Sight) -> None:
        self._engine = engine
        self._histories = histories
        self._sight = sight

    def add_to(self, api: Api) -> None:
        """Add the route."""
        api.get("/models/{model}/series", self._series)

    async def _series(self, request: Request) -> Make:
        model = request.names["model"]
        window = parameters.whole_number(request, "window", DEFAULT_SECONDS, 1, 10 * 366 * 86_400)
        step = parameters.whole_number(request, "step", 0, 0, window)
        if step and window / step > MAX_STEPS:
            raise parameters.invalid("step", f"must cut the window into at most {MAX_STEPS} parts")
        query = Query(
            model=model,
            version=parameters.whole_number(request, "version", 0, 0, 2**63 - 1),
            window_ns=window * NANOSECONDS,
            end_ns=int(parameters.seconds(request, "end", 0.0) * NANOSECONDS),
        )
        steps = await self._engine.series(self._sight.of(query), step * NANOSECONDS)
        history = await self._histories.of(model)
        return lambda: series_json(steps, history)


def series_json(steps: Sequence[Statistics], history: History) -> dict[str, object]:
    """The answer: a list for each figure, with an entry for each step."""
    start = steps[0].time_range.start_ns / NANOSECONDS
    end = steps[-1].time_range.end_ns / NANOSECONDS
    numbers = sorted({found.series.version for step in steps for found in step.versions})
    return {
        "start": start,
        "end": end,
        "step_seconds": steps[0].time_range.seconds,
        "covered_seconds": [_covered_seconds(step) for step in steps],
        "times": [step.time_range.start_ns / NANOSECONDS for step in steps],
        "versions": [_version_json(steps, number) for number in numbers],
        "changes": [asdict(mark) for mark in history.marks if start <= mark.at <= end],
        "weights": [
            {
                "at": each.at,
                "revision": each.revision,
                "weights": {str(version): weight for version, weight in each.weights.items()},
            }
            for each in history.weights(start, end)
        ],
        "gaps": [gap_json(gap) for gap in _gaps(steps)],
    }


def _covered_seconds(step: Statistics) -> float:
    return sum(each.end_ns - each.start_ns for each in step.covered) / NANOSECONDS


def _gaps(steps: Sequence[Statistics]) -> list[Gap]:
    return list(dict.fromkeys(gap for step in steps for gap in step.gaps))


def _version_json(steps: Sequence[Statistics], number: int) -> dict[str, object]:
    tallies = [_tally(step, number) for step in steps]
    lengths = [step.rate_seconds for step in steps]

    def rates(count: Callable[[Tally], float]) -> Column:
        return [count(tally) / length for tally, length in zip(tallies, lengths, strict=True)]

    generates = any(PROMPT_TOKENS in tally for tally in tallies)
    return {
        "version": number,
        "requests_per_second": rates(lambda tally: tally.request_count),
        "success_count": [tally[SUCCESSES] for tally in tallies],
        "errors": _by_key(tallies, ERRORS),
        "routes": _by_key(tallies, ROUTES),
        "p50_ms": [quantile_ms(tally[TOTAL_TIME], 0.5) for tally in tallies],
        "p90_ms": [quantile_ms(tally[TOTAL_TIME], 0.9) for tally in tallies],
        "p99_ms": [quantile_ms(tally[TOTAL_TIME], 0.99) for tally in tallies],
        "queue_p99_ms": [quantile_ms(tally[QUEUE_TIME], 0.99) for tally in tallies],
        "mean_batch_rows": [mean_batch_rows(tally) for tally in tallies],
        "batch_rows": _by_key(tallies, BATCHES),
        "heat": heat_json([tally[TOTAL_TIME] for tally in tallies]),
        "prompt_tokens_per_second": rates(_prompts) if generates else None,
        "generated_tokens_per_second": rates(_generated) if generates else None,
        "first_token_p99_ms": _p99(tallies, FIRST_TOKEN_TIME) if generates else None,
        "between_tokens_p99_ms": _p99(tallies, TOKEN_GAP) if generates else None,
    }


def _tally(step: Statistics, number: int) -> Tally:
    return next((one.tally for one in step.versions if one.series.version == number), Tally())


def _prompts(tally: Tally) -> float:
    return sum(tally[PROMPT_TOKENS].values())


def _generated(tally: Tally) -> float:
    return sum(tally[GENERATED_TOKENS].values())


def _p99(tallies: Sequence[Tally], measure: Measure[Histogram]) -> Column:
    return [quantile_ms(tally[measure], 0.99) for tally in tallies]


def _by_key(
    tallies: Sequence[Tally], measure: Measure[Mapping[str, int]] | Measure[Mapping[int, int]]
) -> dict[str, list[int]]:
    """Counts by label or size, a list of as many as there are steps for each that was counted at all."""
    counted = [cast("Mapping[object, int]", tally[measure]) for tally in tallies]
    counts = [{str(key): count for key, count in each.items()} for each in counted]
    keys = sorted({key for each in counts for key in each}, key=lambda key: (len(key), key))
    return {key: [each.get(key, 0) for each in counts] for key in keys}
