"""Answers as bytes, made piece by piece: one large message would keep the interpreter for seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headrace import errors
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace_monitor.domain.queries.query_engine import Statistics
from headrace_monitor.wire.grpc import convert

MAX_ANSWER_BYTES = 64 * 2**20
"""The largest answer; gRPC clients read 4 MiB unless they are told otherwise."""

_STATISTICS_FIELD = pb.QueryStatisticsResponse.DESCRIPTOR.fields_by_name["statistics"].number
_STEPS_FIELD = pb.QuerySeriesResponse.DESCRIPTOR.fields_by_name["steps"].number


def statistics_to_bytes(statistics: Statistics) -> bytes:
    """A QueryStatisticsResponse. Raises ResourceExhausted (ANSWER_TOO_LARGE)."""
    return b"".join(_bounded(_statistics_pieces(statistics)))


def series_to_bytes(steps: Iterable[Statistics]) -> bytes:
    """A QuerySeriesResponse. Raises ResourceExhausted (ANSWER_TOO_LARGE)."""
    return b"".join(_bounded(_embedded(_STEPS_FIELD, statistics_to_bytes(step)) for step in steps))


def _statistics_pieces(statistics: Statistics) -> Iterator[bytes]:
    yield convert.frame_to_proto(statistics).SerializeToString()
    for version in statistics.versions:
        yield _embedded(_STATISTICS_FIELD, convert.version_to_proto(version).SerializeToString())


def _embedded(number: int, message: bytes) -> bytes:
    """A message as a field of another one."""
    return _varint(number << 3 | 2) + _varint(len(message)) + message


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise _too_large()
        yield piece


def _too_large() -> errors.ResourceExhausted:
    limit = MAX_ANSWER_BYTES // 2**20
    return errors.ResourceExhausted(
        "ANSWER_TOO_LARGE",
        f"the answer would have more than {limit} MiB: ask for one model or a shorter window",
        facts={"limit": str(MAX_ANSWER_BYTES)},
    )
