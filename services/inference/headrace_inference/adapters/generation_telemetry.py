"""Reports what a generative version did, as measures of its telemetry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headrace.monitor.v1 import telemetry_pb2 as pb
from headrace.telemetry import packed_histograms
from headrace.telemetry.histogram import Histogram
from headrace.telemetry.measures import (
    FINISH_REASONS,
    FIRST_TOKEN_TIME,
    GENERATED_TOKENS,
    PREFIX_HITS,
    PROMPT_TOKENS,
    REUSED_PROMPT_TOKENS,
    TOKEN_GAP,
    Measure,
    Value,
)
from headrace_inference.domain.generation.statistics import GenerationCounts, of_all_routes


def generation_measures(by_route: Mapping[str, GenerationCounts]) -> Iterator[pb.Measure]:
    """Yield what was counted, of all routes together where a measure tells none apart."""
    if not by_route:
        return
    total = of_all_routes(by_route)
    yield from _labels(
        PROMPT_TOKENS, {route: each.prompt_tokens for route, each in by_route.items()}
    )
    yield from _labels(
        GENERATED_TOKENS, {route: each.completion_tokens for route, each in by_route.items()}
    )
    yield from _labels(FINISH_REASONS, total.finished)
    yield from _count(REUSED_PROMPT_TOKENS, total.cached_tokens)
    yield from _count(PREFIX_HITS, total.prefix_hits)
    yield from _durations(FIRST_TOKEN_TIME, total.first_token)
    yield from _durations(TOKEN_GAP, total.between_tokens)


def histogram_to_proto(histogram: Histogram) -> pb.Histogram:
    """Durations as a message."""
    buckets, counts = packed_histograms.pack(histogram)
    return pb.Histogram(buckets=buckets, bucket_counts=counts, sum_ns=histogram.sum_ns)


def _labels(measure: Measure[Value], counts: Mapping[str, int]) -> Iterator[pb.Measure]:
    counted = {label: count for label, count in counts.items() if count}
    if counted:
        yield pb.Measure(name=measure.name, labels=pb.CountsByLabel(counts=counted))


def _count(measure: Measure[Value], count: int) -> Iterator[pb.Measure]:
    if count:
        yield pb.Measure(name=measure.name, count=count)


def _durations(measure: Measure[Value], histogram: Histogram) -> Iterator[pb.Measure]:
    if histogram.count:
        yield pb.Measure(name=measure.name, histogram=histogram_to_proto(histogram))
