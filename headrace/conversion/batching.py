"""Converts the sections on batching, queues and priorities of a serving config."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from headrace.conversion.ranges import (
    MAX_BATCH_SIZE,
    MAX_LATENCY_OBJECTIVE_MICROSECONDS,
    MAX_PRIORITY_LEVELS,
    MAX_QUEUE_DELAY_MICROSECONDS,
    MAX_QUEUE_REQUESTS,
    MAX_QUEUE_TIMEOUT_MICROSECONDS,
)
from headrace.conversion.reading import Reader, enum_values
from headrace.conversion.times import duration_to_proto
from headrace.state.records import Batching, Priorities, QueuePolicy, TimeoutAction
from headrace.type.v1 import serving_config_pb2
from headrace.type.v1.serving_config_pb2 import ServingConfig as ConfigMessage

_Message = serving_config_pb2.ServingConfig


def batching_to_proto(batching: Batching) -> serving_config_pb2.ServingConfig.Batching:
    """The section as its message, every field set."""
    return _Message.Batching(
        max_batch_size=batching.max_batch_size,
        max_queue_delay=duration_to_proto(batching.max_queue_delay_microseconds),
        preferred_batch_sizes=batching.preferred_batch_sizes,
        allowed_batch_sizes=batching.allowed_batch_sizes,
        preserve_ordering=batching.preserve_ordering,
        allow_larger_requests=batching.allow_larger_requests,
        latency_objective=duration_to_proto(batching.latency_objective_microseconds),
    )


def queue_to_proto(queue: QueuePolicy) -> serving_config_pb2.ServingConfig.Queue:
    """The section as its message, every field set."""
    return serving_config_pb2.ServingConfig.Queue(
        max_requests=queue.max_requests,
        timeout=duration_to_proto(queue.timeout_microseconds),
        timeout_action=f"QUEUE_TIMEOUT_ACTION_{queue.timeout_action.name}",
        allow_timeout_override=queue.allow_timeout_override,
        max_wait=(
            None
            if queue.max_wait_microseconds is None
            else duration_to_proto(queue.max_wait_microseconds)
        ),
    )


def priorities_to_proto(
    priorities: Priorities,
) -> serving_config_pb2.ServingConfig.Priorities | None:
    """The section as its message; None where all requests are alike."""
    if not priorities.levels:
        return None
    return serving_config_pb2.ServingConfig.Priorities(
        levels=priorities.levels,
        default_level=priorities.default_level,
        queues={level: queue_to_proto(queue) for level, queue in priorities.queues.items()},
    )


def batching_from_proto(
    reader: Reader, proto: ConfigMessage.Batching, default: Batching, path: str
) -> Batching:
    """Return what the message sets, over `default`."""
    most = reader.number(proto, "max_batch_size", default.max_batch_size, (0, MAX_BATCH_SIZE), path)
    delay = reader.microseconds(
        proto,
        "max_queue_delay",
        default.max_queue_delay_microseconds,
        MAX_QUEUE_DELAY_MICROSECONDS,
        path,
    )
    sizes = tuple(proto.preferred_batch_sizes) or default.preferred_batch_sizes
    if not _ascending((0, *sizes)) or any(size > most for size in sizes):
        reader.wrong(
            f"{path}.preferred_batch_sizes",
            f"{list(sizes)} is not ascending between 1 and max_batch_size, {most}",
        )
    allowed = tuple(proto.allowed_batch_sizes) or default.allowed_batch_sizes
    if allowed and (not _ascending((0, *allowed)) or allowed[-1] != most):
        reader.wrong(
            f"{path}.allowed_batch_sizes",
            f"{list(allowed)} is not ascending from 1 or more to max_batch_size, {most}",
        )
    ordered = reader.flag(proto, "preserve_ordering", default=default.preserve_ordering)
    larger = _larger_from_proto(reader, proto, default, allowed, path)
    objective = _objective_from_proto(reader, proto, default, (most, delay), path)
    return Batching(most, delay, sizes, allowed, ordered, larger, objective)


def _objective_from_proto(
    reader: Reader,
    proto: ConfigMessage.Batching,
    default: Batching,
    set_: tuple[int, int],
    path: str,
) -> int:
    objective = reader.microseconds(
        proto,
        "latency_objective",
        default.latency_objective_microseconds,
        MAX_LATENCY_OBJECTIVE_MICROSECONDS,
        path,
    )
    most, delay = set_
    if objective and not most:
        what = "needs a version that batches: max_batch_size is 0"
        reader.wrong(f"{path}.latency_objective", what)
    if objective and delay:
        what = "cannot be set with max_queue_delay, which it takes the place of"
        reader.wrong(f"{path}.latency_objective", what)
    return objective


def _larger_from_proto(
    reader: Reader,
    proto: ConfigMessage.Batching,
    default: Batching,
    allowed: tuple[int, ...],
    path: str,
) -> bool:
    """Whoever says how large a batch may be has set a limit, and says so if requests may be over it."""
    limited = bool(allowed) or proto.HasField("max_batch_size")
    larger = reader.flag(
        proto, "allow_larger_requests", default=default.allow_larger_requests and not limited
    )
    if larger and allowed:
        what = "cannot be true with allowed_batch_sizes, which are the only sizes that are run"
        reader.wrong(f"{path}.allow_larger_requests", what)
    return larger


def _ascending(numbers: Iterable[int]) -> bool:
    return all(low < high for low, high in itertools.pairwise(numbers))


def queue_from_proto(
    reader: Reader, proto: ConfigMessage.Queue, default: QueuePolicy, path: str
) -> QueuePolicy:
    """Return what the message sets, over `default`."""
    return QueuePolicy(
        max_requests=reader.number(
            proto, "max_requests", default.max_requests, (1, MAX_QUEUE_REQUESTS), path
        ),
        timeout_microseconds=reader.microseconds(
            proto, "timeout", default.timeout_microseconds, MAX_QUEUE_TIMEOUT_MICROSECONDS, path
        ),
        timeout_action=reader.choice(
            proto,
            "timeout_action",
            default.timeout_action,
            enum_values("QUEUE_TIMEOUT_ACTION_", TimeoutAction),
            path,
        ),
        allow_timeout_override=reader.flag(
            proto, "allow_timeout_override", default=default.allow_timeout_override
        ),
        max_wait_microseconds=(
            reader.microseconds(proto, "max_wait", 0, MAX_QUEUE_TIMEOUT_MICROSECONDS, path)
            if proto.HasField("max_wait")
            else default.max_wait_microseconds
        ),
    )


def priorities_from_proto(
    reader: Reader, config: ConfigMessage, default: Priorities, queue: QueuePolicy, path: str
) -> Priorities:
    """Return what the config sets, over `default`; a level has what it leaves unset from `queue`."""
    if not config.HasField("priorities"):
        return default
    proto = config.priorities
    levels = reader.number(proto, "levels", default.levels, (0, MAX_PRIORITY_LEVELS), path)
    lowest = min(levels, 1)
    default_level = reader.number(proto, "default_level", levels, (lowest, levels), path)
    queues = {}
    for level in sorted(proto.queues):
        queues[level] = queue_from_proto(
            reader, proto.queues[level], queue, f"{path}.queues[{level}]"
        )
        if not 1 <= level <= levels:
            reader.wrong(f"{path}.queues[{level}]", f"{level} is not between 1 and {levels}")
    return Priorities(levels, default_level, queues)
