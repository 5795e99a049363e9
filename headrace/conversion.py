"""Records of the shared state as `headrace.type.v1` messages, and back: pure functions."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from google.protobuf import duration_pb2, timestamp_pb2

from headrace import errors
from headrace.datatypes import Datatype
from headrace.state.records import (
    Batching,
    GraphOptimization,
    Priorities,
    Provider,
    QueuePolicy,
    ServingConfig,
    SessionOptions,
    Signature,
    TensorSpec,
    TimeoutAction,
    WarmUp,
)
from headrace.type.v1 import serving_config_pb2, signature_pb2

Choice = TypeVar("Choice", bound=enum.StrEnum)

MAX_BATCH_SIZE = 65_536
MAX_QUEUE_DELAY_MICROSECONDS = 10 * 1_000_000
MAX_QUEUE_REQUESTS = 1_000_000
MAX_QUEUE_TIMEOUT_MICROSECONDS = 3600 * 1_000_000
MAX_INSTANCES = 256
MAX_THREADS = 1024
MAX_WARM_UP_RUNS = 1000
MAX_PRIORITY_LEVELS = 100


def timestamp_to_proto(seconds: float) -> timestamp_pb2.Timestamp:
    """Seconds since the Unix epoch as a Timestamp, to the microsecond (a float holds no more)."""
    timestamp = timestamp_pb2.Timestamp()
    timestamp.FromMicroseconds(round(seconds * 1e6))
    return timestamp


def timestamp_from_proto(timestamp: timestamp_pb2.Timestamp) -> float:
    """A Timestamp as seconds since the Unix epoch."""
    return timestamp.ToMicroseconds() / 1e6


def duration_to_proto(microseconds: int) -> duration_pb2.Duration:
    """Microseconds as a Duration."""
    duration = duration_pb2.Duration()
    duration.FromMicroseconds(microseconds)
    return duration


def signature_to_proto(signature: Signature) -> signature_pb2.Signature:
    """A signature as its message."""
    return signature_pb2.Signature(
        inputs=[_tensor_to_proto(spec) for spec in signature.inputs],
        outputs=[_tensor_to_proto(spec) for spec in signature.outputs],
    )


def signature_from_proto(proto: signature_pb2.Signature) -> Signature:
    """A signature from its message. Raises InvalidArgument (DATATYPE_UNSUPPORTED)."""
    return Signature(
        inputs=tuple(_tensor_from_proto(spec) for spec in proto.inputs),
        outputs=tuple(_tensor_from_proto(spec) for spec in proto.outputs),
    )


def _tensor_to_proto(spec: TensorSpec) -> signature_pb2.TensorSpec:
    return signature_pb2.TensorSpec(
        name=spec.name,
        data_type=f"DATA_TYPE_{spec.datatype}",
        shape=spec.shape,
        dim_names=spec.dim_names,
    )


def _tensor_from_proto(proto: signature_pb2.TensorSpec) -> TensorSpec:
    return TensorSpec(
        name=proto.name,
        datatype=_datatype_from_proto(proto),
        shape=tuple(proto.shape),
        dim_names=tuple(proto.dim_names),
    )


def _datatype_from_proto(proto: signature_pb2.TensorSpec) -> Datatype:
    names = {number: name for name, number in signature_pb2.DataType.items()}
    name = names.get(proto.data_type, str(proto.data_type)).removeprefix("DATA_TYPE_")
    try:
        return Datatype(name)
    except ValueError:
        raise errors.InvalidArgument(
            "DATATYPE_UNSUPPORTED",
            f"tensor {proto.name!r} has the datatype {name}; it must be one of {', '.join(Datatype)}",
        ) from None


def serving_config_to_proto(config: ServingConfig) -> serving_config_pb2.ServingConfig:
    """A serving config as its message, every field set."""
    message = serving_config_pb2.ServingConfig
    return message(
        batching=message.Batching(
            max_batch_size=config.batching.max_batch_size,
            max_queue_delay=duration_to_proto(config.batching.max_queue_delay_microseconds),
            preferred_batch_sizes=config.batching.preferred_batch_sizes,
            allowed_batch_sizes=config.batching.allowed_batch_sizes,
            preserve_ordering=config.batching.preserve_ordering,
        ),
        queue=_queue_to_proto(config.queue),
        instances=config.instances,
        provider=f"PROVIDER_{config.provider.name}",
        session=message.Session(
            intra_op_threads=config.session.intra_op_threads,
            inter_op_threads=config.session.inter_op_threads,
            graph_optimization=f"GRAPH_OPTIMIZATION_{config.session.graph_optimization.name}",
        ),
        warm_up=message.WarmUp(runs=config.warm_up.runs),
        priorities=_priorities_to_proto(config.priorities),
        max_in_flight_requests=config.max_in_flight_requests,
    )


def _queue_to_proto(queue: QueuePolicy) -> serving_config_pb2.ServingConfig.Queue:
    return serving_config_pb2.ServingConfig.Queue(
        max_requests=queue.max_requests,
        timeout=duration_to_proto(queue.timeout_microseconds),
        timeout_action=f"QUEUE_TIMEOUT_ACTION_{queue.timeout_action.name}",
        allow_timeout_override=queue.allow_timeout_override,
    )


def _priorities_to_proto(
    priorities: Priorities,
) -> serving_config_pb2.ServingConfig.Priorities | None:
    if not priorities.levels:
        return None
    return serving_config_pb2.ServingConfig.Priorities(
        levels=priorities.levels,
        default_level=priorities.default_level,
        queues={level: _queue_to_proto(queue) for level, queue in priorities.queues.items()},
    )


def serving_config_from_proto(
    proto: serving_config_pb2.ServingConfig,
    default: ServingConfig,
    field: str = "serving_config",
) -> ServingConfig:
    """What the message sets, over `default` for what it leaves unset.

    Raises InvalidArgument (SERVING_CONFIG_INVALID) with a violation for every field that is out of its
    range; their paths start with `field`.
    """
    reader = _Reader()
    batching = _batching(reader, proto.batching, default.batching, f"{field}.batching")
    queue = _queue(reader, proto.queue, default.queue, f"{field}.queue")
    config = ServingConfig(
        batching=batching,
        queue=queue,
        instances=reader.number(proto, "instances", default.instances, (1, MAX_INSTANCES), field),
        provider=reader.choice(
            proto, "provider", default.provider, _enum_values("PROVIDER_", Provider), field
        ),
        session=_session(reader, proto.session, default.session, f"{field}.session"),
        warm_up=_warm_up(reader, proto.warm_up, default.warm_up, f"{field}.warm_up"),
        priorities=_priorities(reader, proto, default.priorities, queue, f"{field}.priorities"),
        max_in_flight_requests=reader.number(
            proto,
            "max_in_flight_requests",
            default.max_in_flight_requests,
            (0, MAX_QUEUE_REQUESTS),
            field,
        ),
    )
    reader.raise_if_wrong()
    return config


class _Reader:
    """Reads the fields that a message sets, over defaults, and gathers what is wrong with them."""

    def __init__(self) -> None:
        self.violations: list[errors.FieldViolation] = []

    def number(
        self, message: Any, name: str, default: int, allowed: tuple[int, int], path: str
    ) -> int:
        if not message.HasField(name):
            return default
        return self._in_range(getattr(message, name), allowed, f"{path}.{name}", "")

    def flag(self, message: Any, name: str, *, default: bool) -> bool:
        return getattr(message, name) if message.HasField(name) else default

    def microseconds(self, message: Any, name: str, default: int, most: int, path: str) -> int:
        if not message.HasField(name):
            return default
        value = getattr(message, name).ToMicroseconds()
        return self._in_range(value, (0, most), f"{path}.{name}", " microseconds")

    def choice(
        self, message: Any, name: str, default: Choice, values: Mapping[int, Choice], path: str
    ) -> Choice:
        number = getattr(message, name)
        if number and number not in values:
            self.wrong(f"{path}.{name}", f"{number} is none of {', '.join(values.values())}")
        return values.get(number, default)

    def wrong(self, field: str, description: str) -> None:
        self.violations.append(errors.FieldViolation(field, description))

    def raise_if_wrong(self) -> None:
        if self.violations:
            listed = "; ".join(f"{wrong.field}: {wrong.description}" for wrong in self.violations)
            raise errors.InvalidArgument(
                "SERVING_CONFIG_INVALID",
                f"the serving config is out of its ranges: {listed}",
                violations=tuple(self.violations),
            )

    def _in_range(self, value: int, allowed: tuple[int, int], field: str, unit: str) -> int:
        low, high = allowed
        if not low <= value <= high:
            self.wrong(field, f"{value}{unit} is not between {low} and {high}{unit}")
        return value


def _batching(reader: _Reader, proto: Any, default: Batching, path: str) -> Batching:
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
    return Batching(most, delay, sizes, allowed, ordered)


def _ascending(numbers: Iterable[int]) -> bool:
    return all(low < high for low, high in itertools.pairwise(numbers))


def _queue(reader: _Reader, proto: Any, default: QueuePolicy, path: str) -> QueuePolicy:
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
            _enum_values("QUEUE_TIMEOUT_ACTION_", TimeoutAction),
            path,
        ),
        allow_timeout_override=reader.flag(
            proto, "allow_timeout_override", default=default.allow_timeout_override
        ),
    )


def _priorities(
    reader: _Reader, config: Any, default: Priorities, queue: QueuePolicy, path: str
) -> Priorities:
    if not config.HasField("priorities"):
        return default
    proto = config.priorities
    levels = reader.number(proto, "levels", default.levels, (0, MAX_PRIORITY_LEVELS), path)
    lowest = min(levels, 1)
    default_level = reader.number(proto, "default_level", levels, (lowest, levels), path)
    queues = {}
    for level in sorted(proto.queues):
        queues[level] = _queue(reader, proto.queues[level], queue, f"{path}.queues[{level}]")
        if not 1 <= level <= levels:
            reader.wrong(f"{path}.queues[{level}]", f"{level} is not between 1 and {levels}")
    return Priorities(levels, default_level, queues)


def _session(reader: _Reader, proto: Any, default: SessionOptions, path: str) -> SessionOptions:
    threads = (0, MAX_THREADS)
    levels = _enum_values("GRAPH_OPTIMIZATION_", GraphOptimization)
    return SessionOptions(
        intra_op_threads=reader.number(
            proto, "intra_op_threads", default.intra_op_threads, threads, path
        ),
        inter_op_threads=reader.number(
            proto, "inter_op_threads", default.inter_op_threads, threads, path
        ),
        graph_optimization=reader.choice(
            proto, "graph_optimization", default.graph_optimization, levels, path
        ),
    )


def _warm_up(reader: _Reader, proto: Any, default: WarmUp, path: str) -> WarmUp:
    return WarmUp(reader.number(proto, "runs", default.runs, (0, MAX_WARM_UP_RUNS), path))


def _enum_values(prefix: str, choices: type[Choice]) -> dict[int, Choice]:
    """The choices by their numbers in the proto enum whose values have this prefix."""
    return {getattr(serving_config_pb2, prefix + choice.name): choice for choice in choices}
