"""Reports what a version did for parts of its requests, as measures of its telemetry."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.monitor.v1 import telemetry_pb2 as pb
from headrace.telemetry.histogram import Histogram
from headrace.telemetry.measures import ERRORS, FAILED_TIME, TOTAL_TIME, Measure, Value
from headrace.telemetry.parts import Part
from headrace_inference.adapters.generation_telemetry import histogram_to_proto
from headrace_inference.domain.versions.part_counts import PartCounts


def part_measures(counts: PartCounts) -> Iterator[pb.PartMeasure]:
    """Yield what was counted of parts."""
    for part, errors in counts.errors.items():
        labels = pb.CountsByLabel(counts=errors)
        yield _of(part, pb.Measure(name=ERRORS.name, labels=labels))
    for reason, histogram in counts.failed.items():
        yield _durations(Part("reason", reason), FAILED_TIME, histogram)
    for part, histogram in counts.total.items():
        yield _durations(part, TOTAL_TIME, histogram)


def _durations(part: Part, measure: Measure[Value], histogram: Histogram) -> pb.PartMeasure:
    return _of(part, pb.Measure(name=measure.name, histogram=histogram_to_proto(histogram)))


def _of(part: Part, measure: pb.Measure) -> pb.PartMeasure:
    return pb.PartMeasure(label=part.label, value=part.value, measure=measure)
