"""Converts what monitors ask one another, and what they answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headrace import errors
from headrace.monitor.v1 import monitor_service_pb2, peer_service_pb2
from headrace_monitor.domain.queries.query_engine import (
    Query,
    ReplicaStatistics,
    Statistics,
    VersionStatistics,
)
from headrace_monitor.domain.queries.time_ranges import MAX_STEPS, TimeRange
from headrace_monitor.domain.replicas.coverage import Stretch
from headrace_monitor.domain.replicas.gaps import Gap, Reason
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.report import Series
from headrace_monitor.wire.grpc import convert
from headrace_monitor.wire.grpc.times import nanoseconds


def question_to_bytes(query: Query, steps: Sequence[TimeRange]) -> bytes:
    """The question as a message."""
    return peer_service_pb2.QueryTalliesRequest(
        model=query.model,
        version=query.version,
        by_replica=query.by_replica,
        stretches=[
            peer_service_pb2.TallyStretch(
                resolution=step.resolution,
                first=step.first,
                last=step.last,
                start_ns=step.start_ns,
                end_ns=step.end_ns,
            )
            for step in steps
        ],
    ).SerializeToString()


def question_from_proto(
    proto: peer_service_pb2.QueryTalliesRequest,
) -> tuple[Query, list[TimeRange]]:
    """The question, and the steps that it is about. Raises InvalidArgument (INVALID_QUERY)."""
    steps = [
        TimeRange(each.resolution, each.first, each.last, each.start_ns, each.end_ns)
        for each in proto.stretches
    ]
    if not 0 < len(steps) <= MAX_STEPS or not all(map(_is_sound, steps)):
        raise errors.InvalidArgument(
            "INVALID_QUERY",
            f"stretches must be 1 to {MAX_STEPS}, of windows that follow one another",
            violations=(errors.FieldViolation("stretches", "are not stretches of windows"),),
        )
    return Query(proto.model, proto.version, by_replica=proto.by_replica), steps


def _is_sound(step: TimeRange) -> bool:
    windows = (step.last - step.first) // max(step.resolution, 1)
    return step.resolution > 0 and 0 <= windows <= _MAX_WINDOWS and step.start_ns < step.end_ns


_MAX_WINDOWS = 100_000
"""Of a stretch: a month has half as many minutes."""


def answer_to_bytes(steps: Iterable[Statistics]) -> bytes:
    """What this monitor was told as a message."""
    return peer_service_pb2.QueryTalliesResponse(
        stretches=[
            peer_service_pb2.StretchTallies(
                tallies=map(_tally_to_proto, step.versions), frame=convert.frame_to_proto(step)
            )
            for step in steps
        ]
    ).SerializeToString()


def answer_from_bytes(answer: bytes, steps: Sequence[TimeRange]) -> list[Statistics]:
    """What another monitor was told of these steps."""
    response = peer_service_pb2.QueryTalliesResponse.FromString(answer)
    return [
        Statistics(
            step,
            tuple(map(_tally_from_proto, told.tallies)),
            tuple(map(_replica_from_proto, told.frame.replicas)),
            tuple(map(_gap_from_proto, told.frame.gaps)),
            tuple(map(_stretch_from_proto, told.frame.covered)),
        )
        for step, told in zip(steps, response.stretches, strict=True)
    ]


def _tally_to_proto(version: VersionStatistics) -> peer_service_pb2.EncodedTally:
    rate = version.requests_per_second
    return peer_service_pb2.EncodedTally(
        model=version.series.model,
        version=version.series.version,
        replica=version.series.replica,
        tally=encoding.encode(version.tally),
        seconds=version.tally.request_count / rate if rate else 0.0,
    )


def _tally_from_proto(proto: peer_service_pb2.EncodedTally) -> VersionStatistics:
    tally = encoding.decode(proto.tally)
    rate = tally.request_count / proto.seconds if proto.seconds else 0.0
    return VersionStatistics(Series(proto.model, proto.version, proto.replica), tally, rate)


def _replica_from_proto(proto: monitor_service_pb2.ReplicaStatistics) -> ReplicaStatistics:
    ahead_ns = nanoseconds(proto.clock_ahead)
    last_ns = nanoseconds(proto.last_report_time)
    return ReplicaStatistics(proto.replica, last_ns, proto.dropped_reports, ahead_ns)


def _gap_from_proto(proto: monitor_service_pb2.Gap) -> Gap:
    name = monitor_service_pb2.Gap.Reason.Name(proto.reason).removeprefix("REASON_")
    return Gap(
        Reason[name],
        nanoseconds(proto.start_time),
        nanoseconds(proto.end_time),
        proto.replica,
        proto.boot_id,
        proto.missing_reports,
        proto.monitor,
    )


def _stretch_from_proto(proto: monitor_service_pb2.Stretch) -> Stretch:
    return Stretch(nanoseconds(proto.start_time), nanoseconds(proto.end_time))
