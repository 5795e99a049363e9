"""Records of the shared state as messages, and back: pure functions."""

from __future__ import annotations

from headrace.conversion.language import (
    kind_from_proto,
    kind_to_proto,
    language_from_proto,
    language_to_proto,
)
from headrace.conversion.ranges import (
    MAX_BATCH_SIZE,
    MAX_INSTANCES,
    MAX_PRIORITY_LEVELS,
    MAX_QUEUE_DELAY_MICROSECONDS,
    MAX_QUEUE_REQUESTS,
    MAX_QUEUE_TIMEOUT_MICROSECONDS,
    MAX_THREADS,
    MAX_WARM_UP_RUNS,
    MAX_WARM_UP_SAMPLES,
)
from headrace.conversion.routes import route_from_proto, route_to_proto
from headrace.conversion.serving_config import serving_config_from_proto, serving_config_to_proto
from headrace.conversion.signatures import signature_from_proto, signature_to_proto
from headrace.conversion.times import duration_to_proto, timestamp_from_proto, timestamp_to_proto

__all__ = [
    "MAX_BATCH_SIZE",
    "MAX_INSTANCES",
    "MAX_PRIORITY_LEVELS",
    "MAX_QUEUE_DELAY_MICROSECONDS",
    "MAX_QUEUE_REQUESTS",
    "MAX_QUEUE_TIMEOUT_MICROSECONDS",
    "MAX_THREADS",
    "MAX_WARM_UP_RUNS",
    "MAX_WARM_UP_SAMPLES",
    "duration_to_proto",
    "kind_from_proto",
    "kind_to_proto",
    "language_from_proto",
    "language_to_proto",
    "route_from_proto",
    "route_to_proto",
    "serving_config_from_proto",
    "serving_config_to_proto",
    "signature_from_proto",
    "signature_to_proto",
    "timestamp_from_proto",
    "timestamp_to_proto",
]
