"""Converts messages to questions, and answers to messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from headrace import errors
from headrace.errors import FieldViolation
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import telemetry_pb2
from headrace.telemetry import packed_histograms
from headrace.telemetry.costs import Prices
from headrace.telemetry.histogram import Histogram
from headrace.telemetry.measures import (
    BATCHES,
    COMPUTE_TIME,
    ERRORS,
    EXECUTIONS,
    FAILED_TIME,
    QUEUE_TIME,
    ROUTES,
    ROWS,
    SUCCESSES,
    TOTAL_TIME,
    Kind,
    Value,
    kind_of,
    name_of,
)
from headrace.telemetry.parts import PART_LABELS, part_of
from headrace_monitor.domain.queries.parts import PartFigures, left_count
from headrace_monitor.domain.queries.query_engine import (
    DEFAULT_WINDOW_NS,
    Query,
    ReplicaStatistics,
    Statistics,
    VersionStatistics,
)
from headrace_monitor.domain.replicas.coverage import Stretch
from headrace_monitor.domain.replicas.gaps import Gap
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.wire.grpc.report_convert import FIELDS
from headrace_monitor.wire.grpc.times import duration, nanoseconds, signed_duration, timestamp

DEFAULT_INTERVAL_SECONDS = 1.0
MIN_INTERVAL_SECONDS = 0.1
MAX_INTERVAL_SECONDS = 3600.0
MAX_STRETCHES = 100
"""Of covered time in an answer, the newest: replicas seldom all fall silent so often."""

_MAX_INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Watch:
    """A question to answer again and again."""

    query: Query
    interval_seconds: float


def query_from_proto(proto: pb.QueryStatisticsRequest) -> Query:
    """The question. Raises InvalidArgument (INVALID_QUERY)."""
    window_ns = nanoseconds(proto.window) if proto.HasField("window") else DEFAULT_WINDOW_NS
    end_ns = nanoseconds(proto.end_time) if proto.HasField("end_time") else 0
    _check(
        (proto.version >= 0, "version", "must not be negative"),
        (window_ns > 0, "window", "must be longer than 0"),
        (end_ns >= 0, "end_time", "must be after 1970"),
        (
            set(proto.parts_by) <= set(PART_LABELS),
            "parts_by",
            f"must be among {', '.join(PART_LABELS)}",
        ),
    )
    parts_by = tuple(dict.fromkeys(proto.parts_by))
    return Query(proto.model, proto.version, window_ns, end_ns, proto.by_replica, parts_by=parts_by)


def watch_from_proto(proto: pb.WatchStatisticsRequest) -> Watch:
    """The question and how often to answer it. Raises InvalidArgument (INVALID_QUERY)."""
    interval = DEFAULT_INTERVAL_SECONDS
    if proto.HasField("interval"):
        interval = nanoseconds(proto.interval) / NANOSECONDS
    _check(
        (not proto.query.HasField("end_time"), "query.end_time", "must be unset in a watch"),
        (
            MIN_INTERVAL_SECONDS <= interval <= MAX_INTERVAL_SECONDS,
            "interval",
            f"must be from {MIN_INTERVAL_SECONDS} s to {MAX_INTERVAL_SECONDS} s",
        ),
    )
    return Watch(query_from_proto(proto.query), interval)


def series_from_proto(proto: pb.QuerySeriesRequest) -> tuple[Query, int]:
    """The question and the length of a step (0: the default). Raises InvalidArgument (INVALID_QUERY)."""
    step_ns = nanoseconds(proto.step) if proto.HasField("step") else 0
    _check(
        (not proto.query.by_replica, "query.by_replica", "must be unset in a series"),
        (
            step_ns >= NANOSECONDS or not proto.HasField("step"),
            "step",
            "must be at least 1 s",
        ),
    )
    return query_from_proto(proto.query), step_ns


def frame_to_proto(statistics: Statistics) -> pb.QueryStatisticsResponse:
    """The answer as a message, but for the versions."""
    return pb.QueryStatisticsResponse(
        start_time=timestamp(statistics.time_range.start_ns),
        end_time=timestamp(statistics.time_range.end_ns),
        replicas=map(_replica_to_proto, statistics.replicas),
        gaps=map(gap_to_proto, statistics.gaps),
        covered=map(_stretch_to_proto, statistics.covered[-MAX_STRETCHES:]),
        covered_time=duration(sum(each.end_ns - each.start_ns for each in statistics.covered)),
    )


def prices_to_bytes(prices: Prices) -> bytes:
    """The part of an answer that has prices: it is appended; nothing where nothing is known."""
    if not prices.is_set:
        return b""
    message = pb.Prices(per_core_hour=prices.per_core_hour, per_kwh=prices.per_kwh)
    return pb.QueryStatisticsResponse(prices=message).SerializeToString()


def version_to_proto(statistics: VersionStatistics) -> pb.VersionStatistics:
    """Convert a version's entry in an answer."""
    series, tally = statistics.series, statistics.tally
    proto = pb.VersionStatistics(
        model=series.model,
        version=series.version,
        replica=series.replica,
        success_count=tally[SUCCESSES],
        error_count=tally.error_count,
        error_counts=tally[ERRORS],
        route_counts=tally[ROUTES],
        row_count=tally[ROWS],
        execution_count=tally[EXECUTIONS],
        batch_counts=tally[BATCHES],
        requests_per_second=statistics.requests_per_second,
        total=latency_to_proto(tally[TOTAL_TIME]),
        queue=latency_to_proto(tally[QUEUE_TIME]),
        compute=latency_to_proto(tally[COMPUTE_TIME]),
        failed=latency_to_proto(tally[FAILED_TIME]),
    )
    proto.measures.extend(
        _measure_to_proto(key, value)
        for key, value in sorted(tally.items())
        if key not in FIELDS and part_of(key) is None
    )
    proto.left_count = left_count(tally[ERRORS])
    proto.parts.extend(map(_part_to_proto, statistics.parts))
    return proto


def _part_to_proto(figures: PartFigures) -> pb.PartStatistics:
    return pb.PartStatistics(
        label=figures.part.label,
        value=figures.part.value,
        success_count=figures.success_count,
        error_count=figures.error_count,
        left_count=figures.left_count,
        error_counts=figures.errors,
        total=latency_to_proto(figures.total),
        failed=latency_to_proto(figures.failed),
    )


def _measure_to_proto(key: str, value: Value) -> pb.MeasureStatistics:
    proto = pb.MeasureStatistics(name=name_of(key))
    if isinstance(value, int):
        proto.count = value
    elif isinstance(value, Histogram):
        proto.latency.CopyFrom(latency_to_proto(value))
    elif kind_of(key) is Kind.SIZES:
        proto.sizes.counts.update(cast("Mapping[int, int]", value))
    else:
        proto.labels.counts.update(cast("Mapping[str, int]", value))
    return proto


def latency_to_proto(histogram: Histogram) -> pb.Latency:
    """Convert a histogram: its mean, its quantiles and its buckets."""
    count = histogram.count
    return pb.Latency(
        count=count,
        mean=duration(histogram.sum_ns / max(count, 1)),
        p50=duration(histogram.quantile_ns(0.5)),
        p90=duration(histogram.quantile_ns(0.9)),
        p95=duration(histogram.quantile_ns(0.95)),
        p99=duration(histogram.quantile_ns(0.99)),
        p999=duration(histogram.quantile_ns(0.999)),
        histogram=_histogram_to_proto(histogram),
        below_range=histogram.below_range,
        above_range=histogram.above_range,
    )


def _histogram_to_proto(histogram: Histogram) -> telemetry_pb2.Histogram:
    buckets, counts = packed_histograms.pack(histogram)
    return telemetry_pb2.Histogram(
        counts=histogram.coarse(),
        sum_ns=min(histogram.sum_ns, _MAX_INT64),
        buckets=buckets,
        bucket_counts=counts,
    )


def _replica_to_proto(statistics: ReplicaStatistics) -> pb.ReplicaStatistics:
    return pb.ReplicaStatistics(
        replica=statistics.replica,
        last_report_time=timestamp(statistics.last_report_ns),
        dropped_reports=statistics.dropped_reports,
        clock_ahead=signed_duration(statistics.clock_ahead_ns),
    )


def _stretch_to_proto(stretch: Stretch) -> pb.Stretch:
    return pb.Stretch(start_time=timestamp(stretch.start_ns), end_time=timestamp(stretch.end_ns))


def gap_to_proto(gap: Gap) -> pb.Gap:
    return pb.Gap(
        reason=f"REASON_{gap.reason.name}",
        start_time=timestamp(gap.start_ns),
        end_time=timestamp(gap.end_ns),
        replica=gap.replica,
        boot_id=gap.boot_id,
        missing_reports=gap.missing_reports,
        monitor=gap.monitor,
    )


def _check(*rules: tuple[bool, str, str]) -> None:
    violations = tuple(FieldViolation(field, text) for holds, field, text in rules if not holds)
    if violations:
        message = "; ".join(f"{wrong.field} {wrong.description}" for wrong in violations)
        raise errors.InvalidArgument("INVALID_QUERY", message, violations=violations)
