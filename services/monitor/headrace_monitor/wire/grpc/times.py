"""Points and lengths of time, between messages and nanoseconds."""

from __future__ import annotations

from google.protobuf import duration_pb2, timestamp_pb2

from headrace_monitor.domain.telemetry.report import NANOSECONDS

MAX_SECONDS = 315_576_000_000
"""The longest google.protobuf.Duration."""


LATEST_NS = 2**63 - 1
"""In the year 2262: what is kept of times has 64 bits."""


def nanoseconds(proto: timestamp_pb2.Timestamp | duration_pb2.Duration) -> int:
    """A time as nanoseconds, whatever a caller put in; the message's own method raises on odd ones.

    What is later than LATEST_NS is that: all who keep it can rely on 64 bits.
    """
    time_ns = proto.seconds * NANOSECONDS + proto.nanos
    return min(max(time_ns, -LATEST_NS), LATEST_NS)


def timestamp(time_ns: int) -> timestamp_pb2.Timestamp:
    """A point in time, not before 1970."""
    seconds, nanos = divmod(max(time_ns, 0), NANOSECONDS)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)


def signed_duration(length_ns: int) -> duration_pb2.Duration:
    """A length of time, or where it is negative, of time back."""
    length = duration(abs(length_ns))
    sign = -1 if length_ns < 0 else 1
    return duration_pb2.Duration(seconds=sign * length.seconds, nanos=sign * length.nanos)


def duration(length_ns: float) -> duration_pb2.Duration:
    """A length of time, not negative, and not longer than the message may say: 10,000 years."""
    longest_ns = MAX_SECONDS * NANOSECONDS
    seconds, nanos = divmod(min(max(int(length_ns), 0), longest_ns), NANOSECONDS)
    return duration_pb2.Duration(seconds=seconds, nanos=nanos)
