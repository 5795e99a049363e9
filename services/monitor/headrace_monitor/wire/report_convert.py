"""Reports from their messages, checked: a wrong one names every field that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from headrace import errors
from headrace.errors import FieldViolation
from headrace.histogram import Histogram
from headrace.monitor.v1 import monitor_service_pb2, telemetry_pb2
from headrace_monitor.domain.telemetry.report import Report, Tally, VersionTelemetry
from headrace_monitor.wire.times import nanoseconds

MAX_NAME_LENGTH = 128
"""Of model names, as the registry has it; replicas' ids and reasons need no more."""

MAX_COUNT = 2**48
"""Of anything in one report: more is a mistake, and sums of it would outgrow 64 bits."""

MAX_KEYS = 4096
"""Reasons, routes or batch sizes of one version in one report."""

MAX_VIOLATIONS = 20
"""More would not fit into the trailers of a call."""


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
    violations = list(_head_violations(proto))
    sent_ns = nanoseconds(request.sent_time) if request.HasField("sent_time") else 0
    if sent_ns <= 0 and request.HasField("sent_time"):
        violations.append(FieldViolation("sent_time", "must be after 1970"))
    taken: list[VersionTelemetry] = []
    for index, version in enumerate(versions):
        wrong = list(_version_violations(f"versions[{index}]", version))
        violations += wrong
        if len(violations) >= MAX_VIOLATIONS:
            break
        if not wrong:
            taken.append(_version_from_proto(version))
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
    )


def histogram_from_proto(proto: telemetry_pb2.Histogram) -> Histogram:
    """The histogram."""
    return Histogram.from_sparse(proto.counts, proto.sum_ns)


def _version_from_proto(proto: telemetry_pb2.VersionTelemetry) -> VersionTelemetry:
    tally = Tally(
        proto.success_count,
        proto.row_count,
        proto.execution_count,
        dict(proto.error_counts),
        dict(proto.route_counts),
        dict(proto.batch_counts),
        histogram_from_proto(proto.total),
        histogram_from_proto(proto.queue),
        histogram_from_proto(proto.compute),
        histogram_from_proto(proto.failed),
    )
    return VersionTelemetry(proto.model, proto.version, tally)


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
    for field in ("version", "success_count", "row_count", "execution_count"):
        yield from _count_violations(f"{path}.{field}", getattr(version, field))
    for field in ("error_counts", "route_counts"):
        yield from _map_violations(f"{path}.{field}", getattr(version, field))
        for key in getattr(version, field):
            yield from _name_violations(f"{path}.{field}", key)
    yield from _map_violations(f"{path}.batch_counts", version.batch_counts)
    if any(rows < 0 for rows in version.batch_counts):
        yield FieldViolation(f"{path}.batch_counts", "must be of batches with 0 rows or more")
    for field in ("total", "queue", "compute", "failed"):
        histogram: telemetry_pb2.Histogram = getattr(version, field)
        yield from _map_violations(f"{path}.{field}.counts", histogram.counts)
        if histogram.sum_ns < 0:
            yield FieldViolation(f"{path}.{field}.sum_ns", "must not be negative")


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
    for count in counts.values():
        yield from _count_violations(field, count)
