"""Totals of versions as OTLP metrics: sums, histograms by size, exponential histograms of durations.

All is cumulative since this process began, or since the version was first heard of: totals are subtracted
that were stored before, so that a collector that adds up differences counts nothing again.

Durations are in nanoseconds: their buckets are those of OpenTelemetry at scale 6, one to one. In seconds
the edges would be no powers of 2^(1/64), and every count would be told half a bucket off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from headrace.telemetry.histogram import BUCKETS_PER_OCTAVE, LOWEST_EXPONENT, Histogram
from headrace.telemetry.measures import ERRORS, MEASURES, TOTAL_TIME, Kind, Measure, Value
from headrace_monitor.domain.ledger.totals import VersionKey
from headrace_monitor.domain.telemetry.exemplar import Exemplar
from headrace_monitor.domain.telemetry.tally import Tally

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric

SCALE = 6
FIRST_INDEX = LOWEST_EXPONENT * BUCKETS_PER_OCTAVE - 1
"""The index, at scale 6, of our first bucket: it ends at 2^10 ns, as bucket 639 of 2^(1/64) does."""

SIZE_BOUNDS = tuple(float(2**exponent) for exponent in range(17))

Versions = Mapping[VersionKey, Tally]
Attributes = dict[str, str]


class TotalsSince:
    """What versions did since a point in time."""

    def __init__(self, before: Versions, start_ns: int) -> None:
        self._before = dict(before)
        self._start_ns = start_ns
        self._starts: dict[VersionKey, int] = {}

    def of(self, versions: Versions, now_ns: int) -> dict[VersionKey, tuple[int, Tally]]:
        """By version, since when it is counted, and the counts since then."""
        return {key: self._since(key, tally, now_ns) for key, tally in versions.items()}

    def _since(self, key: VersionKey, tally: Tally, now_ns: int) -> tuple[int, Tally]:
        before = self._before.get(key)
        if before is not None and tally.request_count < before.request_count:
            del self._before[key]  # it was forgotten, and came back
            self._starts[key], before = now_ns, None
        start_ns = self._starts.get(key, self._start_ns)
        return start_ns, tally if before is None else minus(tally, before)


def minus(tally: Tally, before: Tally) -> Tally:
    """What was counted between two totals."""
    return Tally.by_key(
        {key: _minus(value, before.get(key, 0)) for key, value in tally.items() if "{" not in key}
    )


def _minus(value: Value, before: Value) -> Value:
    if isinstance(value, int):
        return value - cast("int", before)
    if isinstance(value, Histogram):
        if not isinstance(before, Histogram):
            return value
        counts = np.maximum(value.all_buckets() - before.all_buckets(), 0)
        return Histogram.of_all_buckets(counts, max(0, value.sum_ns - before.sum_ns))
    known = cast("Mapping[Any, int]", before or {})
    left = {key: count - known.get(key, 0) for key, count in value.items()}
    return cast("Mapping[str, int]", left)


def metrics_of(
    versions: Mapping[VersionKey, tuple[int, Tally]],
    now_ns: int,
    exemplars: Mapping[tuple[str, int], Sequence[Exemplar]] | None = None,
) -> Iterator[Metric]:
    """Every metric, with a data point for each version that counted something."""
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        ExponentialHistogram,
        Metric,
        Sum,
    )
    from opentelemetry.sdk.metrics.export import Histogram as SizeHistogram

    cumulative = AggregationTemporality.CUMULATIVE
    for measure in MEASURES:
        if not measure.metric:
            continue
        points = list(_points(measure, versions, now_ns, exemplars or {}))
        if not points:
            continue
        if measure.kind is Kind.HISTOGRAM:
            data: Any = ExponentialHistogram(points, cumulative)
        elif measure.kind is Kind.SIZES:
            data = SizeHistogram(points, cumulative)
        else:
            data = Sum(points, cumulative, is_monotonic=True)
        yield Metric(name_of(measure), measure.help, unit_of(measure), data)


def name_of(measure: Measure[Value]) -> str:
    """Its name among OpenTelemetry's: that in Prometheus with dots, without the unit."""
    return measure.metric.removesuffix("_seconds").replace("_", ".")


def unit_of(measure: Measure[Value]) -> str:
    """Its unit in UCUM's terms."""
    return "ns" if measure.kind is Kind.HISTOGRAM else "{" + measure.unit + "}"


def _points(
    measure: Measure[Value],
    versions: Mapping[VersionKey, tuple[int, Tally]],
    now_ns: int,
    exemplars: Mapping[tuple[str, int], Sequence[Exemplar]],
) -> Iterator[Any]:
    for key, (start_ns, tally) in versions.items():
        if measure not in tally:
            continue
        value, own = tally[measure], {"headrace.model": key.model}
        attributes = {**own, "headrace.version": str(key.version)}
        times = start_ns, now_ns
        if isinstance(value, Histogram):
            found = exemplars.get((key.model, key.version), ()) if measure is TOTAL_TIME else ()
            yield duration_point(value, attributes, times, found)
        elif isinstance(value, int):
            yield _number(value, attributes, times)
        elif measure.kind is Kind.SIZES:
            yield _sizes_point(cast("Mapping[int, int]", value), attributes, times)
        else:
            label = "error.type" if measure is ERRORS else f"headrace.{measure.label}"
            for text, count in value.items():
                yield _number(count, {**attributes, label: str(text)}, times)


def duration_point(
    histogram: Histogram,
    attributes: Attributes,
    times: tuple[int, int],
    exemplars: Sequence[Exemplar] = (),
) -> Any:
    """A data point of a histogram's buckets as they are; what is out of the range counts at its edge."""
    from opentelemetry.sdk.metrics.export import Buckets, ExponentialHistogramDataPoint

    places, _ = histogram.used()
    first, end = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
    counts = histogram.all_buckets()[first:end].tolist()
    unknown = cast("float", None)
    return ExponentialHistogramDataPoint(
        attributes,
        *times,
        histogram.count,
        float(histogram.sum_ns),
        SCALE,
        0,
        Buckets(FIRST_INDEX + first, counts),
        Buckets(0, []),
        0,
        unknown,
        unknown,
        [_exemplar(each) for each in exemplars],
    )


def _exemplar(exemplar: Exemplar) -> Any:
    from opentelemetry.sdk.metrics import Exemplar as OtelExemplar

    return OtelExemplar(
        {},
        float(exemplar.duration_ns),
        exemplar.time_ns,
        exemplar.span_id,
        exemplar.trace_id,
    )


def _sizes_point(sizes: Mapping[int, int], attributes: Attributes, times: tuple[int, int]) -> Any:
    from opentelemetry.sdk.metrics.export import HistogramDataPoint

    counts = [0] * (len(SIZE_BOUNDS) + 1)
    for size, count in sizes.items():
        counts[int(np.searchsorted(SIZE_BOUNDS, size))] += count
    together = float(sum(size * count for size, count in sizes.items()))
    unknown = cast("float", None)
    return HistogramDataPoint(
        attributes, *times, sum(counts), together, counts, SIZE_BOUNDS, unknown, unknown
    )


def _number(value: int, attributes: Attributes, times: tuple[int, int]) -> Any:
    from opentelemetry.sdk.metrics.export import NumberDataPoint

    return NumberDataPoint(attributes, *times, value)
