"""Serving configs as messages, and back."""

from __future__ import annotations

from headrace.conversion.batching import (
    batching_from_proto,
    batching_to_proto,
    priorities_from_proto,
    priorities_to_proto,
    queue_from_proto,
    queue_to_proto,
)
from headrace.conversion.generation import (
    encoding_from_proto,
    encoding_to_proto,
    generation_from_proto,
    generation_to_proto,
)
from headrace.conversion.provider_options import (
    provider_options_from_proto,
    provider_options_to_proto,
)
from headrace.conversion.ranges import MAX_INSTANCES, MAX_QUEUE_REQUESTS
from headrace.conversion.reading import Reader, enum_values
from headrace.conversion.session import session_from_proto, session_to_proto
from headrace.conversion.shapes import shapes_from_proto, shapes_to_proto
from headrace.conversion.warm_up import warm_up_from_proto, warm_up_to_proto
from headrace.state.records import Provider, ServingConfig
from headrace.type.v1 import serving_config_pb2


def serving_config_to_proto(config: ServingConfig) -> serving_config_pb2.ServingConfig:
    """A serving config as its message, every field set."""
    return serving_config_pb2.ServingConfig(
        batching=batching_to_proto(config.batching),
        queue=queue_to_proto(config.queue),
        instances=config.instances,
        provider=f"PROVIDER_{config.provider.name}",
        session=session_to_proto(config.session),
        warm_up=warm_up_to_proto(config.warm_up),
        priorities=priorities_to_proto(config.priorities),
        max_in_flight_requests=config.max_in_flight_requests,
        provider_options=provider_options_to_proto(config.provider_options),
        shapes=shapes_to_proto(config.shapes),
        generation=generation_to_proto(config.generation),
        encoding=encoding_to_proto(config.encoding),
    )


def serving_config_from_proto(
    proto: serving_config_pb2.ServingConfig,
    default: ServingConfig,
    field: str = "serving_config",
    *,
    check: bool = True,
) -> ServingConfig:
    """Return what the message sets, over `default` for what it leaves unset.

    What a registry took is read without the check: a newer one may take more than is known here.
    Raises InvalidArgument (SERVING_CONFIG_INVALID) with a violation for every field that is out of its
    range; their paths start with `field`.
    """
    reader = Reader()
    batching = batching_from_proto(reader, proto.batching, default.batching, f"{field}.batching")
    queue = queue_from_proto(reader, proto.queue, default.queue, f"{field}.queue")
    config = ServingConfig(
        batching=batching,
        queue=queue,
        instances=reader.number(proto, "instances", default.instances, (0, MAX_INSTANCES), field),
        provider=reader.choice(
            proto, "provider", default.provider, enum_values("PROVIDER_", Provider), field
        ),
        session=session_from_proto(reader, proto.session, default.session, f"{field}.session"),
        warm_up=warm_up_from_proto(reader, proto.warm_up, default.warm_up, f"{field}.warm_up"),
        priorities=priorities_from_proto(
            reader, proto, default.priorities, queue, f"{field}.priorities"
        ),
        max_in_flight_requests=reader.number(
            proto,
            "max_in_flight_requests",
            default.max_in_flight_requests,
            (0, MAX_QUEUE_REQUESTS),
            field,
        ),
        provider_options=provider_options_from_proto(
            reader, proto.provider_options, default.provider_options, f"{field}.provider_options"
        ),
        shapes=shapes_from_proto(reader, proto, default.shapes, f"{field}.shapes"),
        generation=generation_from_proto(
            reader, proto.generation, default.generation, f"{field}.generation"
        ),
        encoding=encoding_from_proto(reader, proto.encoding, default.encoding, f"{field}.encoding"),
    )
    if check:
        reader.unknown_fields(proto, field)
        reader.raise_if_wrong()
    return config
