"""Finds values of a Triton config that are impossible, such as negative sizes and counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headrace.inference import model_config_pb2


def impossible_values(config: model_config_pb2.ModelConfig) -> Iterator[str]:
    """A phrase for each number that no config may have: Triton refuses them, too."""
    if config.max_batch_size < 0:
        yield f"max_batch_size is {config.max_batch_size}; it must be 0 or more"
    for place, group in enumerate(config.instance_group):
        if group.count < 0:
            yield f"instance_group[{place}].count is {group.count}; it must be 0 or more"
        yield from (
            f"instance_group[{place}].gpus has {gpu}; devices are 0 or more"
            for gpu in group.gpus
            if gpu < 0
        )
    for size in config.dynamic_batching.preferred_batch_size:
        if size < 1:
            yield f"dynamic_batching.preferred_batch_size has {size}; it must be 1 or more"
    yield from _impossible_dims("input", config.input)
    yield from _impossible_dims("output", config.output)


def _impossible_dims(kind: str, tensors: Any) -> Iterator[str]:
    for tensor in tensors:
        for size in (*tensor.dims, *tensor.reshape.shape):
            if size < -1:
                yield f'{kind}["{tensor.name}"] has a dimension of {size}; -1 is a free one'
