"""Converts a Triton config's batching and queues to a serving config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.conversion import (
    MAX_PRIORITY_LEVELS,
    MAX_QUEUE_DELAY_MICROSECONDS,
    MAX_QUEUE_REQUESTS,
    MAX_QUEUE_TIMEOUT_MICROSECONDS,
    duration_to_proto,
)
from headrace.inference import model_config_pb2
from headrace.type.v1 import serving_config_pb2

if TYPE_CHECKING:
    from headrace.inference.model_config_pb2 import ModelConfig
    from headrace.type.v1.serving_config_pb2 import ServingConfig

_ACTIONS = {
    model_config_pb2.ModelQueuePolicy.REJECT: serving_config_pb2.QUEUE_TIMEOUT_ACTION_REJECT,
    model_config_pb2.ModelQueuePolicy.DELAY: serving_config_pb2.QUEUE_TIMEOUT_ACTION_DELAY,
}


def carry_dynamic_batching(left: ModelConfig, taken: ServingConfig) -> None:
    """Take preferred sizes, delay, order, queue policies and priority levels."""
    if not left.HasField("dynamic_batching"):
        return
    batching = left.dynamic_batching
    _carry_preferred_sizes(batching, taken)
    if batching.max_queue_delay_microseconds <= MAX_QUEUE_DELAY_MICROSECONDS:
        delay = batching.max_queue_delay_microseconds
        taken.batching.max_queue_delay.CopyFrom(duration_to_proto(delay))
        batching.ClearField("max_queue_delay_microseconds")
    if batching.preserve_ordering:
        taken.batching.preserve_ordering = True
    batching.ClearField("preserve_ordering")
    if batching.HasField("default_queue_policy"):
        _carry_queue_policy(batching.default_queue_policy, taken.queue)
    if 0 < batching.priority_levels <= MAX_PRIORITY_LEVELS:
        _carry_priorities(batching, taken.priorities)


def _carry_preferred_sizes(batching: Any, taken: ServingConfig) -> None:
    sizes = sorted(set(batching.preferred_batch_size))
    if all(1 <= size <= taken.batching.max_batch_size for size in sizes):
        taken.batching.preferred_batch_sizes.extend(sizes)
        batching.ClearField("preferred_batch_size")


def _carry_priorities(batching: Any, priorities: Any) -> None:
    """Take the levels; Triton takes no default outside of them, nor policies of levels that are not."""
    levels = priorities.levels = batching.priority_levels
    batching.ClearField("priority_levels")
    if 1 <= batching.default_priority_level <= levels:
        priorities.default_level = batching.default_priority_level
        batching.ClearField("default_priority_level")
    for level in sorted(batching.priority_queue_policy):
        if 1 <= level <= levels:
            policy = batching.priority_queue_policy[level]
            _carry_queue_policy(policy, priorities.queues[level])
            if not policy.ListFields():
                del batching.priority_queue_policy[level]


def _carry_queue_policy(policy: Any, queue: Any) -> None:
    """Take the bound (0 is none in Triton, and the default here), and what waiting too long means."""
    if policy.max_queue_size <= MAX_QUEUE_REQUESTS:
        if policy.max_queue_size:
            queue.max_requests = policy.max_queue_size
        policy.ClearField("max_queue_size")
    timeout = policy.default_timeout_microseconds
    if timeout <= MAX_QUEUE_TIMEOUT_MICROSECONDS:
        queue.timeout.CopyFrom(duration_to_proto(timeout))
        policy.ClearField("default_timeout_microseconds")
    if policy.timeout_action:
        queue.timeout_action = _ACTIONS[policy.timeout_action]
    policy.ClearField("timeout_action")
    if policy.allow_timeout_override:
        queue.allow_timeout_override = True
    policy.ClearField("allow_timeout_override")
