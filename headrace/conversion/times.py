"""Points in time and durations as messages, and back."""

from __future__ import annotations

from google.protobuf import duration_pb2, timestamp_pb2

from headrace import errors

_LAST_SECOND = 253_402_300_799.0
"""What comes after it within the last second of the year 9999, a float would round to the year 10000."""


def timestamp_to_proto(seconds: float) -> timestamp_pb2.Timestamp:
    """Seconds since the Unix epoch as a Timestamp, to the microsecond (a float holds no more)."""
    timestamp = timestamp_pb2.Timestamp()
    timestamp.FromMicroseconds(round(seconds * 1e6))
    return timestamp


def timestamp_from_proto(timestamp: timestamp_pb2.Timestamp) -> float:
    """A Timestamp as seconds since the Unix epoch, which `timestamp_to_proto` takes.

    Raises InvalidArgument (TIME_INVALID) for what is no time of the years 1 to 9999.
    """
    try:
        return min(timestamp.ToMicroseconds() / 1e6, _LAST_SECOND)
    except ValueError:
        raise errors.InvalidArgument(
            "TIME_INVALID",
            f"{timestamp.seconds} seconds and {timestamp.nanos} nanoseconds are no time: give one of the "
            "years 1 to 9999, with 0 to 999999999 nanoseconds",
        ) from None


def seconds_to_proto(seconds: float) -> duration_pb2.Duration:
    """Seconds as a Duration, to the nanosecond."""
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def seconds_from_proto(duration: duration_pb2.Duration) -> float:
    """A Duration as seconds."""
    return duration.ToNanoseconds() / 1e9


def duration_to_proto(microseconds: int) -> duration_pb2.Duration:
    """Microseconds as a Duration."""
    duration = duration_pb2.Duration()
    duration.FromMicroseconds(microseconds)
    return duration
