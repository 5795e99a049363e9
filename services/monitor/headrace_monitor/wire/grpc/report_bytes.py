"""Reads a report from its bytes: a large one piece by piece, since protobuf lets no other thread run.

Four MiB of empty versions keep the interpreter for 35 ms when they are parsed at once. So the report's
versions are found first, counted before any is parsed, and then parsed one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from google.protobuf.message import DecodeError

from headrace import errors
from headrace.errors import FieldViolation
from headrace.monitor.v1 import monitor_service_pb2, telemetry_pb2
from headrace_monitor.domain.telemetry.known_layouts import KnownLayouts
from headrace_monitor.domain.telemetry.report import Report
from headrace_monitor.wire.grpc import report_convert
from headrace_monitor.wire.grpc.report_examples import examples_from_proto
from headrace_monitor.wire.grpc.report_profiles import profiles_from_proto

MAX_PROFILE_BYTES = 2 * 2**20
"""Of one profile: the fields of the largest reference take 1.2 MB, and 10 ms."""

SMALL_BYTES = 16 * 1024
"""A report of some ten versions: parsed and checked in 2 ms."""

MAX_VERSION_BYTES = 512 * 1024
"""Of one version in a report. A replica's largest has 100 kB; so many bytes are parsed in 5 ms."""

MAX_HEAD_BYTES = 64 * 1024
"""Of all that is neither a version nor a profile."""

_REPORT_FIELD = 1
_VERSIONS_FIELD, _PROFILES_FIELD = 6, 9
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES = 10


def is_small(request: bytes) -> bool:
    """True where the request is parsed too quickly to hold anybody up."""
    return len(request) <= SMALL_BYTES


def report_from_bytes(request: bytes, max_versions: int, layouts: KnownLayouts) -> Report:
    """The report of a ReportTelemetryRequest, whose profiles are of these layouts.

    Raises InvalidArgument (MALFORMED_REQUEST, INVALID_REPORT, REPORT_TOO_LARGE).
    """
    try:
        if is_small(request):
            whole = monitor_service_pb2.ReportTelemetryRequest.FromString(request)
            report = report_convert.report_from_request(whole, max_versions)
            profiles = profiles_from_proto(whole.report.profiles, layouts)
            shown = whole.report.examples
        else:
            head, versions, parts = _split(request, max_versions)
            report = report_convert.report_from_parts(head, map(_version, versions))
            profiles = profiles_from_proto(map(_profile, parts), layouts)
            shown = head.report.examples
        if not (profiles or shown):
            return report
        examples = examples_from_proto(shown, layouts)  # in the bins of profiles told before
        return replace(report, profiles=profiles, examples=examples)
    except (DecodeError, IndexError) as error:
        raise errors.InvalidArgument(
            "MALFORMED_REQUEST", "the request's bytes are not a message of this method"
        ) from error


def _version(data: bytes) -> telemetry_pb2.VersionTelemetry:
    return telemetry_pb2.VersionTelemetry.FromString(data)


def _profile(data: bytes) -> telemetry_pb2.VersionProfile:
    return telemetry_pb2.VersionProfile.FromString(data)


def _split(
    request: bytes, max_versions: int
) -> tuple[monitor_service_pb2.ReportTelemetryRequest, list[bytes], list[bytes]]:
    """The request without the report's versions and profiles, and the bytes of each of these."""
    outer, inner = _Head(request), _Head(request)
    versions: list[bytes] = []
    profiles: list[bytes] = []
    for number, begin, report, report_end in _fields(request, 0, len(request)):
        if number != _REPORT_FIELD or report is None:
            outer.take(begin, report_end)
            continue
        for each, start, content, end in _fields(request, report, report_end):
            if each == _PROFILES_FIELD and content is not None:
                path = f"profiles[{len(profiles)}]"
                profiles.append(_bounded(path, request, content, end, MAX_PROFILE_BYTES))
                continue
            if each != _VERSIONS_FIELD or content is None:
                inner.take(start, end)
                continue
            versions.append(
                _bounded(f"versions[{len(versions)}]", request, content, end, MAX_VERSION_BYTES)
            )
            if len(versions) > max_versions:
                raise report_convert.too_large(f"more than {max_versions}", max_versions)
    head = monitor_service_pb2.ReportTelemetryRequest.FromString(outer.joined())
    head.report.MergeFromString(inner.joined())
    return head, versions, profiles


class _Head:
    """The fields of a message that are not versions: a bounded number of bytes."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._parts: list[bytes] = []
        self._bytes = 0

    def take(self, start: int, end: int) -> None:
        """Take a field. Raises InvalidArgument (INVALID_REPORT)."""
        self._bytes += end - start
        if self._bytes > MAX_HEAD_BYTES:
            raise _too_many_bytes("report", MAX_HEAD_BYTES)
        self._parts.append(self._request[start:end])

    def joined(self) -> bytes:
        """All fields."""
        return b"".join(self._parts)


def _bounded(field: str, request: bytes, start: int, end: int, most: int) -> bytes:
    if end - start > most:
        raise _too_many_bytes(field, most)
    return request[start:end]


def _fields(data: bytes, place: int, end: int) -> Iterator[tuple[int, int, int | None, int]]:
    """(number, start, start of the content where it has a length, end) of the fields in data[place:end]."""
    while place < end:
        start = place
        tag, place = _varint(data, place)
        kind, content = tag & 7, None
        if kind == _VARINT:
            _, place = _varint(data, place)
        elif kind == _LENGTH:
            length, content = _varint(data, place)
            place = content + length
        elif kind in _FIXED_SIZES:
            place += _FIXED_SIZES[kind]
        else:
            raise DecodeError("groups are not read")
        if place > end:
            raise DecodeError("a field is cut")
        yield tag >> 3, start, content, place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """The number at `place`, and where it ends. Raises IndexError where it is cut."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift >= 7 * _MAX_VARINT_BYTES:
            raise DecodeError("a number has more than 64 bits")


def _too_many_bytes(field: str, limit: int) -> errors.InvalidArgument:
    description = f"has more than {limit // 1024} KiB, the most that is taken"
    return errors.InvalidArgument(
        "INVALID_REPORT",
        f"the report is wrong: {field} {description}",
        violations=(FieldViolation(field, description),),
    )
