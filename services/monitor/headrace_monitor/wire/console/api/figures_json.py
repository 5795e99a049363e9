"""Figures of versions as the console's JSON."""

from __future__ import annotations

from headrace.telemetry.costs import Prices, costs_of
from headrace.telemetry.histogram import Histogram
from headrace.telemetry.measures import (
    BATCHES,
    CPU_TIME,
    ENERGY,
    ERRORS,
    FIRST_TOKEN_TIME,
    GENERATED_TOKENS,
    PROMPT_TOKENS,
    QUEUE_TIME,
    REUSED_PROMPT_TOKENS,
    ROUTES,
    ROW_CAPACITY,
    SUCCESSES,
    TOKEN_GAP,
    TOTAL_TIME,
)
from headrace.telemetry.parts import PART_LABELS
from headrace_monitor.domain.queries.parts import PartFigures, parts_of
from headrace_monitor.domain.queries.query_engine import VersionStatistics
from headrace_monitor.domain.replicas.gaps import Gap
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.domain.telemetry.tally import Tally

NO_PRICES = Prices()


def quantile_ms(histogram: Histogram, quantile: float) -> float | None:
    """A quantile in milliseconds; None where nothing was counted."""
    found = histogram.quantile_ns(quantile)
    return found / 1e6 if found else None


def statistics_json(
    found: VersionStatistics | None, seconds: float, prices: Prices = NO_PRICES
) -> dict[str, object]:
    """All figures of a version in a window of so many seconds; zeros for one that was not called."""
    tally = found.tally if found else Tally()
    total = tally[TOTAL_TIME]
    return {
        "requests_per_second": found.requests_per_second if found else 0.0,
        "success_count": tally[SUCCESSES],
        "error_counts": tally[ERRORS],
        "errors_per_second": tally.failed_count / seconds,
        "left_count": tally.left_count,
        "route_counts": tally[ROUTES],
        "p50_ms": quantile_ms(total, 0.5),
        "p90_ms": quantile_ms(total, 0.9),
        "p99_ms": quantile_ms(total, 0.99),
        "queue_p99_ms": quantile_ms(tally[QUEUE_TIME], 0.99),
        "mean_batch_rows": mean_batch_rows(tally),
        "batch_fill": batch_fill(tally),
        "cost": cost_json(tally, prices),
        "text": text_json(tally, seconds),
    }


def parts_json(tally: Tally) -> list[dict[str, object]]:
    """Figures of parts of the requests: by reason, of how long they took until the error."""
    return [
        {
            "label": each.part.label,
            "value": each.part.value,
            "success_count": each.success_count,
            "error_count": each.error_count,
            "left_count": each.left_count,
            "p50_ms": quantile_ms(_times(each), 0.5),
            "p99_ms": quantile_ms(_times(each), 0.99),
        }
        for each in parts_of(tally, PART_LABELS)
    ]


def _times(each: PartFigures) -> Histogram:
    return each.failed if each.part.label == "reason" else each.total


def cost_json(tally: Tally, prices: Prices = NO_PRICES) -> dict[str, object] | None:
    """What a request took of processors and energy; None where no replica tells, or nothing was asked.

    Its cost is there where prices are set.
    """
    if CPU_TIME not in tally or not tally.request_count:
        return None
    energy, requests = tally[ENERGY], tally.request_count
    tokens = sum(tally[PROMPT_TOKENS].values()) + sum(tally[GENERATED_TOKENS].values())
    costs = costs_of(tally[CPU_TIME], energy, requests, tokens, prices)
    return {
        "cpu_ms_per_request": tally[CPU_TIME] / 1000 / requests,
        "joules_per_request": sum(energy.values()) / 1000 / requests if energy else None,
        "energy_by": sorted(energy),
        "core_hours": costs.core_hours,
        "kwh": costs.kwh,
        "total": costs.total,
        "per_thousand_requests": costs.per_thousand_requests,
        "per_million_tokens": costs.per_million_tokens,
    }


def mean_batch_rows(tally: Tally) -> float | None:
    """Rows a run of the model, on average; None where it did not run."""
    runs = sum(tally[BATCHES].values())
    return sum(rows * count for rows, count in tally[BATCHES].items()) / runs if runs else None


def batch_fill(tally: Tally) -> float | None:
    """The share of the room in batches that was used; None where some replicas do not tell theirs."""
    rows = sum(rows * count for rows, count in tally[BATCHES].items())
    capacity = tally[ROW_CAPACITY]
    return rows / capacity if capacity >= max(rows, 1) else None


def text_json(tally: Tally, seconds: float) -> dict[str, object] | None:
    """What a version generated; None for one that generates nothing."""
    if PROMPT_TOKENS not in tally:
        return None
    prompts = sum(tally[PROMPT_TOKENS].values())
    return {
        "tokens_per_second": sum(tally[GENERATED_TOKENS].values()) / seconds,
        "prompt_tokens_per_second": prompts / seconds,
        "reused_share": tally[REUSED_PROMPT_TOKENS] / max(1, prompts),
        "first_token_p50_ms": quantile_ms(tally[FIRST_TOKEN_TIME], 0.5),
        "first_token_p99_ms": quantile_ms(tally[FIRST_TOKEN_TIME], 0.99),
        "between_tokens_p50_ms": quantile_ms(tally[TOKEN_GAP], 0.5),
        "between_tokens_p99_ms": quantile_ms(tally[TOKEN_GAP], 0.99),
    }


def gap_json(gap: Gap) -> dict[str, object]:
    """What an answer does not cover."""
    return {
        "reason": gap.reason.value,
        "start": gap.start_ns / NANOSECONDS,
        "end": gap.end_ns / NANOSECONDS,
        "replica": gap.replica,
        "missing_reports": gap.missing_reports,
        "monitor": gap.monitor,
    }
