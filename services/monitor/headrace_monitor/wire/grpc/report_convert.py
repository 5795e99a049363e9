"""Reports from their messages, checked: a wrong one names every field that is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from headrace import errors
from headrace.errors import FieldViolation
from headrace.monitor.v1 import monitor_service_pb2, telemetry_pb2
from headrace.telemetry import packed_histograms
from headrace.telemetry.histogram import BUCKET_COUNT, Histogram
from headrace.telemetry.measures import (
    BY_NAME,
    ERRORS,
    FAILED_TIME,
    MEASURES,
    NAME_PATTERN,
    TOTAL_TIME,
    Kind,
    key_of,
    kind_of,
)
from headrace.telemetry.parts import PART_LABELS, Part, key_of_part
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.encoding import PackedHistogram
from headrace_monitor.domain.telemetry.exemplar import Exemplar
from headrace_monitor.domain.telemetry.report import Report, VersionTelemetry
from headrace_monitor.wire.grpc import prediction_convert
from headrace_monitor.wire.grpc.times import nanoseconds

MAX_NAME_LENGTH = 128
"""Of model names, as the registry has it; replicas' ids and reasons need no more."""

MAX_COUNT = 2**48
"""Of anything in one report: more is a mistake, and sums of it would outgrow 64 bits."""

MAX_KEYS = 4096
"""Reasons, routes or batch sizes of one version in one report."""

MAX_MEASURES = 16
"""Taken by name of one version in one report; a newer replica may send more, which are left out."""

MAX_PARTS = 512
"""Measures of parts of the requests of one version in one report, which are taken."""

MAX_PART_VALUE_LENGTH = 256
"""Of a slice: the name of a header or parameter, and its value."""

MAX_VIOLATIONS = 20
"""More would not fit into the trailers of a call."""


FIELDS: Mapping[str, str] = {
    measure.key: measure.name
    for measure in MEASURES
    if measure.name in telemetry_pb2.VersionTelemetry.DESCRIPTOR.fields_by_name
}
"""The measures that have a field of their own in reports, by key: the others come by their names."""

_KINDS = {
    "count": Kind.COUNTER,
    "labels": Kind.LABELS,
    "sizes": Kind.SIZES,
    "histogram": Kind.HISTOGRAM,
}

_FIELDS_BY_KIND = {
    kind: [(name, encoding.short_key(key)) for key, name in FIELDS.items() if kind_of(key) is kind]
    for kind in Kind
}
_GROUPED_FIELDS = [*_FIELDS_BY_KIND[Kind.LABELS], *_FIELDS_BY_KIND[Kind.SIZES]]

_LONGEST = max(packed_histograms.WIDTHS)
_WRONG_WIDTH = (
    f"must have 1, 2, 4 or 8 bytes for each of up to {BUCKET_COUNT} buckets of two bytes each"
)
_GROUPED = frozenset({Kind.LABELS, Kind.SIZES})
_OF_PARTS = frozenset(measure.name for measure in (TOTAL_TIME, FAILED_TIME, ERRORS))

Field = int | telemetry_pb2.Histogram | Mapping[str, int] | Mapping[int, int]

MAX_EXEMPLARS = 64
"""Of a report; others are left out."""
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8


def report_from_request(
    request: monitor_service_pb2.ReportTelemetryRequest, max_versions: int
) -> Report:
    """The report. Raises InvalidArgument (INVALID_REPORT, REPORT_TOO_LARGE)."""
    versions = request.report.versions
    if len(versions) > max_versions:
        raise too_large(str(len(versions)), max_versions)
    return report_from_parts(request, versions)


def report_from_parts(
    request: monitor_service_pb2.ReportTelemetryRequest,
    versions: Iterable[telemetry_pb2.VersionTelemetry],
) -> Report:
    """The report with these versions instead of its own. Raises InvalidArgument (INVALID_REPORT)."""
    proto = request.report
    violations = [*_head_violations(proto), *prediction_convert.violations_in(proto)]
    sent_ns = nanoseconds(request.sent_time) if request.HasField("sent_time") else 0
    if sent_ns <= 0 and request.HasField("sent_time"):
        violations.append(FieldViolation("sent_time", "must be after 1970"))
    taken: list[VersionTelemetry] = []
    for index, version in enumerate(versions):
        tally = _NewTally.of(version)
        if not tally.is_plain(version):
            wrong = list(_version_violations(f"versions[{index}]", version))
            violations += wrong
            if len(violations) >= MAX_VIOLATIONS:
                break
            if wrong:
                continue
        taken.append(tally.telemetry(version.model, version.version))
    if violations:
        violations = violations[:MAX_VIOLATIONS]
        first = violations[0]
        raise errors.InvalidArgument(
            "INVALID_REPORT",
            f"the report is wrong: {first.field} {first.description}",
            violations=tuple(violations),
        )
    return Report(
        proto.replica,
        proto.boot_id,
        proto.sequence,
        nanoseconds(proto.start_time),
        nanoseconds(proto.end_time),
        tuple(taken),
        proto.dropped_reports,
        proto.last,
        sent_ns,
        told=prediction_convert.told_from_proto(proto),
        exemplars=tuple(exemplars_from_proto(proto)),
    )


def exemplars_from_proto(proto: telemetry_pb2.TelemetryReport) -> Iterator[Exemplar]:
    """Yield the traced requests of a report; those that name no trace are left out."""
    for each in proto.exemplars[:MAX_EXEMPLARS]:
        if len(each.trace_id) == _TRACE_ID_BYTES and len(each.span_id) == _SPAN_ID_BYTES:
            yield Exemplar(
                each.model,
                each.version,
                int.from_bytes(each.trace_id),
                int.from_bytes(each.span_id),
                max(0, each.duration_ns),
                max(0, nanoseconds(each.time)),
            )


class _NewTally:
    """Values of a version by the short keys of their measures; histograms stay packed."""

    __slots__ = ("further", "histograms", "is_odd", "values")

    def __init__(self) -> None:
        self.values: dict[str, int | dict[str, int] | dict[int, int]] = {}
        self.histograms: dict[str, PackedHistogram] = {}
        self.further: list[_NewTally] = []
        """What came a second time, by its name."""
        self.is_odd = False

    @classmethod
    def of(cls, proto: telemetry_pb2.VersionTelemetry) -> _NewTally:
        """Take what a version did, as it is: it may be wrong."""
        tally = cls()
        for name, short in _FIELDS_BY_KIND[Kind.COUNTER]:
            if count := getattr(proto, name):
                tally.values[short] = count
        for name, short in _GROUPED_FIELDS:
            if counts := getattr(proto, name):
                tally.values[short] = dict(counts)
        for name, short in _FIELDS_BY_KIND[Kind.HISTOGRAM]:
            if proto.HasField(name):
                tally.add_histogram(short, getattr(proto, name))
        for measure in proto.measures[:MAX_MEASURES]:
            of = measure.WhichOneof("value")  # None for a kind that is not known here
            if of:
                tally.add_measure(measure, of)
            else:
                tally.is_odd = True
        for part in parts_in(proto):
            tally.add_part(part)
        return tally

    def is_plain(self, proto: telemetry_pb2.VersionTelemetry) -> bool:
        """True where nothing can be wrong; else somebody has to look at each field, which takes longer."""
        return not (
            self.is_odd
            or self.further
            or len(proto.model) > MAX_NAME_LENGTH
            or not 0 <= proto.version <= MAX_COUNT
            or not all(map(_is_plain_value, self.values.values()))
            or not all(map(_is_plain_histogram, self.histograms.values()))
        )

    def telemetry(self, model: str, version: int) -> VersionTelemetry:
        """Encode it; nothing may be wrong."""
        encoded, values = encoding.encode_packed(self.values, self.histograms)
        if self.further:
            parts = [encoded, *(each.telemetry("", 0).encoded for each in self.further)]
            encoded = encoding.sum_of(parts)
            values = encoding.values_of(encoded)
        return VersionTelemetry(model, version, encoded, values)

    def add_measure(self, measure: telemetry_pb2.Measure, of: str) -> None:
        """Add one that came by its name."""
        key, field = _content(measure)
        known = BY_NAME.get(measure.name)
        self.is_odd |= known is None or known.key != key
        self._add(encoding.short_key(key), field)

    def add_part(self, proto: telemetry_pb2.PartMeasure) -> None:
        """Add a measure of a part of the requests."""
        key, field = _content(proto.measure)
        self.is_odd |= BY_NAME[proto.measure.name].key != key
        self.is_odd |= not 1 <= len(proto.value) <= MAX_PART_VALUE_LENGTH
        self._add(key_of_part(key, Part(proto.label, proto.value)), field)

    def _add(self, short: str, field: Field) -> None:
        if short in self.values or short in self.histograms:
            other = _NewTally()
            other._add(short, field)
            self.is_odd |= other.is_odd
            self.further.append(other)
        elif isinstance(field, telemetry_pb2.Histogram):
            self.add_histogram(short, field)
        elif field:
            self.values[short] = (
                field if isinstance(field, int) else cast("dict[str, int]", dict(field))
            )

    def add_histogram(self, short: str, field: telemetry_pb2.Histogram) -> None:
        """Add a histogram, if anything was counted in it."""
        packed = field.buckets, field.bucket_counts
        if field.counts:
            self.is_odd = True
            if not field.buckets:  # of an older replica
                packed = packed_histograms.pack(Histogram.from_coarse(field.counts, 0))
        if packed[0] or packed[1] or field.sum_ns:
            width = packed_histograms.width_in(*packed)
            self.histograms[short] = PackedHistogram(*packed, field.sum_ns, width)


def parts_in(proto: telemetry_pb2.VersionTelemetry) -> list[telemetry_pb2.PartMeasure]:
    """The measures of parts that are known here; a newer replica may send others."""
    return [
        part
        for part in proto.parts[:MAX_PARTS]
        if part.label in PART_LABELS
        and part.measure.name in _OF_PARTS
        and part.measure.WhichOneof("value")
    ]


def _is_plain_value(value: int | dict[str, int] | dict[int, int]) -> bool:
    if isinstance(value, int):
        return 0 <= value <= MAX_COUNT
    counts = value.values()
    return (
        len(value) <= MAX_KEYS
        and min(counts) >= 0
        and max(counts) <= MAX_COUNT
        and all(map(_is_plain_key, value))
    )


def _is_plain_key(key: str | int) -> bool:
    return 1 <= len(key) <= MAX_NAME_LENGTH if isinstance(key, str) else key >= 0


def _is_plain_histogram(histogram: PackedHistogram) -> bool:
    return 0 < histogram.width < _LONGEST and histogram.sum_ns >= 0


def _content(measure: telemetry_pb2.Measure) -> tuple[str, Field]:
    """Give the key and the value of a measure that has one, as a field of its own would hold it."""
    of = measure.WhichOneof("value")
    field = getattr(measure, of)
    kind = _KINDS[of]
    return key_of(kind, measure.name), field.counts if kind in _GROUPED else field


def _head_violations(proto: telemetry_pb2.TelemetryReport) -> Iterator[FieldViolation]:
    for field, name in (("replica", proto.replica), ("boot_id", proto.boot_id)):
        yield from _name_violations(field, name)
    if proto.sequence < 1:
        yield FieldViolation("sequence", f"must be 1 or more, not {proto.sequence}")
    yield from _time_violations(proto)
    yield from _count_violations("dropped_reports", proto.dropped_reports)


def _time_violations(proto: telemetry_pb2.TelemetryReport) -> Iterator[FieldViolation]:
    # an interval that ends before it begins is no violation: a replica's clock may have been set back
    for field, time in (("start_time", proto.start_time), ("end_time", proto.end_time)):
        if nanoseconds(time) <= 0:
            yield FieldViolation(field, "is required, and after 1970")


def _version_violations(
    path: str, version: telemetry_pb2.VersionTelemetry
) -> Iterator[FieldViolation]:
    if len(version.model) > MAX_NAME_LENGTH:  # '' is for requests that named no model there is
        yield FieldViolation(f"{path}.model", f"must have at most {MAX_NAME_LENGTH} characters")
    yield from _count_violations(f"{path}.version", version.version)
    for key, name in FIELDS.items():
        yield from _value_violations(f"{path}.{name}", key, getattr(version, name))
    for index, measure in enumerate(version.measures[:MAX_MEASURES]):
        yield from _measure_violations(f"{path}.measures[{index}]", measure)
    for index, part in enumerate(parts_in(version)):
        if not 1 <= len(part.value) <= MAX_PART_VALUE_LENGTH:
            limit = f"must have 1 to {MAX_PART_VALUE_LENGTH} characters"
            yield FieldViolation(f"{path}.parts[{index}].value", limit)
        yield from _measure_violations(f"{path}.parts[{index}].measure", part.measure)


def _measure_violations(path: str, measure: telemetry_pb2.Measure) -> Iterator[FieldViolation]:
    if not re.fullmatch(NAME_PATTERN, measure.name):
        yield FieldViolation(f"{path}.name", f"must match {NAME_PATTERN}")
        return
    of = measure.WhichOneof("value")
    if of is None:
        return
    key, field = _content(measure)
    known = BY_NAME.get(measure.name)
    if known and known.key != key:
        yield FieldViolation(path, f"must be a {known.kind.name}, as {measure.name} always is")
        return
    yield from _value_violations(f"{path}.{of}", key, field)


def _value_violations(path: str, key: str, field: Field) -> Iterator[FieldViolation]:
    if isinstance(field, int):
        yield from _count_violations(path, field)
    elif isinstance(field, telemetry_pb2.Histogram):
        yield from _histogram_violations(path, field)
    else:
        yield from _map_violations(path, field)
        yield from _key_violations(path, kind_of(key), field)


def _histogram_violations(path: str, field: telemetry_pb2.Histogram) -> Iterator[FieldViolation]:
    yield from _map_violations(f"{path}.counts", field.counts)
    if field.sum_ns < 0:
        yield FieldViolation(f"{path}.sum_ns", "must not be negative")
    width = packed_histograms.width_in(field.buckets, field.bucket_counts)
    if not width:
        yield FieldViolation(f"{path}.bucket_counts", _WRONG_WIDTH)
    elif width == _LONGEST:
        most = packed_histograms.counts_of(field.buckets, field.bucket_counts).max()
        yield from _count_violations(f"{path}.bucket_counts", int(most))


def _key_violations(path: str, kind: Kind, keys: Iterable[str | int]) -> Iterator[FieldViolation]:
    for key in keys:
        if kind is Kind.LABELS:
            yield from _name_violations(path, str(key))
        elif int(key) < 0:
            yield FieldViolation(path, "must be of batches with 0 rows or more")
            return


def too_large(versions: str, most: int) -> errors.InvalidArgument:
    """The refusal of a report with so many versions."""
    return errors.InvalidArgument(
        "REPORT_TOO_LARGE",
        f"the report has {versions} versions; up to {most} are taken in one (the monitor's setting "
        "max_report_versions): send the others in further reports",
        facts={"limit": str(most), "setting": "max_report_versions"},
        violations=(FieldViolation("versions", f"up to {most}"),),
    )


def _name_violations(field: str, name: str) -> Iterator[FieldViolation]:
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        yield FieldViolation(field, f"must have 1 to {MAX_NAME_LENGTH} characters")


def _count_violations(field: str, count: int) -> Iterator[FieldViolation]:
    if not 0 <= count <= MAX_COUNT:
        yield FieldViolation(field, f"must be from 0 to 2^48, not {count}")


def _map_violations(
    field: str, counts: Mapping[str, int] | Mapping[int, int]
) -> Iterator[FieldViolation]:
    if len(counts) > MAX_KEYS:
        yield FieldViolation(field, f"must have at most {MAX_KEYS} entries")
    values = counts.values()
    if values and not 0 <= min(values) <= max(values) <= MAX_COUNT:
        for count in values:
            yield from _count_violations(field, count)
