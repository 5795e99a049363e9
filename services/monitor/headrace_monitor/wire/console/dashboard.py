"""The console's application: its page for browsers, and statistics as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

from headrace import errors
from headrace.security.access import OPEN_ACCESS, Access
from headrace.service.http.answers import JSON_TYPE, Response, json_response
from headrace.service.http.pages import About, is_browser
from headrace.service.http.requests import Request
from headrace.telemetry.measures import (
    BATCHES,
    ERRORS,
    FIRST_TOKEN_TIME,
    GENERATED_TOKENS,
    LOAD_TIME,
    PROMPT_TOKENS,
    QUEUE_TIME,
    REUSED_PROMPT_TOKENS,
    ROW_CAPACITY,
    SUCCESSES,
    TOKEN_GAP,
    TOTAL_TIME,
)
from headrace_monitor.domain.queries.query_engine import (
    Query,
    QueryEngine,
    Statistics,
    VersionStatistics,
)
from headrace_monitor.domain.sessions import Sessions
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.wire.console.console_app import ConsoleApp
from headrace_monitor.wire.console.web_files import WebFiles
from headrace_monitor.wire.sight import Sight

_ABOUT = About(
    "Headrace monitor",
    "What replicas did, for browsers a console. The monitor is queried over gRPC, at a port of its own "
    "(8200 by default): by `headrace top`, or by headrace.Client.",
    {
        "/": "in a browser: the console",
        "/api/statistics": "what versions did in the last minute (?window=SECONDS)",
        "/api/series": "the same, step by step (?window=SECONDS&step=SECONDS)",
        "/api/v1/models": "models with their versions, routes and figures (?search=TEXT&page=1)",
        "/metrics": "metrics for Prometheus",
        "/healthz": "whether the process answers",
        "/readyz": "whether the monitor is ready, and why not",
    },
)


def application(
    query_engine: QueryEngine,
    namespace: str,
    access: Access = OPEN_ACCESS,
    *,
    is_secure: bool = False,
) -> ConsoleApp:
    """GET / (the page), /api/statistics?window=SECONDS and /api/series?window=SECONDS&step=SECONDS.

    Where callers have to be somebody, a browser logs in.
    """
    sight = Sight(access)
    files = WebFiles(namespace)

    async def index(request: Request) -> Response:
        if not is_browser(request):
            return json_response(_ABOUT.as_json())
        return await files.page(request)

    async def statistics(request: Request) -> Response:
        query = Query(window_ns=_seconds(request, "window", 60))
        found = await query_engine.statistics(sight.of(query))
        return _json(await query_engine.run_in_thread(lambda: _to_json([found])[1:-1]))

    async def series(request: Request) -> Response:
        query = Query(window_ns=_seconds(request, "window", 300))
        steps = await query_engine.series(sight.of(query), _seconds(request, "step", 5))
        return _json(await query_engine.run_in_thread(lambda: _to_json(steps)))

    sessions = Sessions(access.now)
    app = ConsoleApp(_ABOUT.not_found, access, sessions, namespace, is_secure=is_secure)
    app.add("GET", "/", index)
    files.add_to(app)
    app.add("GET", "/api/statistics", statistics)
    app.add("GET", "/api/series", series)
    return app


def _json(body: bytes) -> Response:
    return Response(body, JSON_TYPE, headers={"Cache-Control": "no-store"})


def _to_json(steps: Iterable[Statistics]) -> bytes:
    """A list as JSON. Step by step: the encoder lets no other thread run while it is at work."""
    return b"[" + b",".join(json.dumps(statistics_to_json(step)).encode() for step in steps) + b"]"


def statistics_to_json(statistics: Statistics) -> dict[str, object]:
    """The answer as the page reads it: seconds since the epoch, milliseconds for latencies."""
    span = statistics.rate_seconds
    return {
        "start": statistics.time_range.start_ns / NANOSECONDS,
        "end": statistics.time_range.end_ns / NANOSECONDS,
        "covered_seconds": sum(each.end_ns - each.start_ns for each in statistics.covered)
        / NANOSECONDS,
        "versions": [_version_to_json(version, span) for version in statistics.versions],
        "replicas": [
            {
                "replica": replica.replica,
                "last_report": replica.last_report_ns / NANOSECONDS,
                "dropped_reports": replica.dropped_reports,
                "clock_ahead": replica.clock_ahead_ns / NANOSECONDS,
            }
            for replica in statistics.replicas
        ],
        "gaps": [
            {
                "reason": gap.reason.value,
                "start": gap.start_ns / NANOSECONDS,
                "end": gap.end_ns / NANOSECONDS,
                "replica": gap.replica,
                "missing_reports": gap.missing_reports,
                "monitor": gap.monitor,
            }
            for gap in statistics.gaps
        ],
    }


def _version_to_json(version: VersionStatistics, span_seconds: float) -> dict[str, object]:
    tally = version.tally
    total, batches, loads = tally[TOTAL_TIME], tally[BATCHES], tally[LOAD_TIME]
    batched_rows = sum(rows * count for rows, count in batches.items())
    capacity = tally[ROW_CAPACITY]
    return {
        "model": version.series.model,
        "version": version.series.version,
        "requests_per_second": version.requests_per_second,
        "success_count": tally[SUCCESSES],
        "error_counts": tally[ERRORS],
        "mean_batch_rows": batched_rows / max(sum(batches.values()), 1),
        # less capacity than rows: some of the replicas are older, and do not tell theirs
        "batch_fill": batched_rows / capacity if capacity >= max(batched_rows, 1) else None,
        "p50_ms": total.quantile_ns(0.5) / 1e6,
        "p99_ms": total.quantile_ns(0.99) / 1e6,
        "queue_p99_ms": tally[QUEUE_TIME].quantile_ns(0.99) / 1e6,
        "load_count": loads.count,
        "load_p50_ms": loads.quantile_ns(0.5) / 1e6,
        "text": _text_to_json(version, span_seconds) if PROMPT_TOKENS in tally else None,
    }


def _text_to_json(version: VersionStatistics, span_seconds: float) -> dict[str, object]:
    """Write what a version generated; of those that generated none there is nothing to tell."""
    tally = version.tally
    first, gap = tally[FIRST_TOKEN_TIME], tally[TOKEN_GAP]
    prompts = sum(tally[PROMPT_TOKENS].values())
    return {
        "tokens_per_second": sum(tally[GENERATED_TOKENS].values()) / span_seconds,
        "prompt_tokens_per_second": prompts / span_seconds,
        "reused_share": tally[REUSED_PROMPT_TOKENS] / max(1, prompts),
        "first_token_p50_ms": first.quantile_ns(0.5) / 1e6,
        "first_token_p99_ms": first.quantile_ns(0.99) / 1e6,
        "between_tokens_p50_ms": gap.quantile_ns(0.5) / 1e6,
        "between_tokens_p99_ms": gap.quantile_ns(0.99) / 1e6,
    }


def _seconds(request: Request, name: str, default: int) -> int:
    try:
        seconds = float(request.head.query.get(name, default))
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds <= 10 * 366 * 86400:  # NaN is in no range
        description = "must be a number of seconds, 1 or more"
        violation = errors.FieldViolation(name, description)
        raise errors.InvalidArgument(
            "INVALID_QUERY", f"{name} {description}", violations=(violation,)
        )
    return int(seconds * NANOSECONDS)
