"""Cases whose first dimension is made free, so that the registry proposes to batch them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from headrace.state.records import ServingConfig
from headrace_registry.domain.decisions.default_config import (
    DEFAULT_MAX_BATCH_SIZE,
    default_config,
)
from tests.conformance.bare import CONFIG, Examined
from tests.conformance.calling import SHARING
from tests.conformance.cases import Case, Value

KIND = "rows"
BATCH = "batch"
_SECOND = 1_000_000


def with_free_rows(case: Case) -> Case | None:
    """The case with a free, named first dimension everywhere; None where its tensors have no such thing.

    They have one where every input and output has the same first dimension, of more than one row, and
    few enough that requests can share a run.
    """
    model = onnx.ModelProto.FromString(case.model)
    values = _declared(model.graph)
    if not all(map(_is_tensor_of_rows, values)) or not all(
        _rows((*data_set.inputs, *data_set.expected)) for data_set in case.data_sets
    ):
        return None
    for value in values:
        dimension = value.type.tensor_type.shape.dim[0]
        dimension.Clear()
        dimension.dim_param = BATCH
    name = f"{KIND}.{case.name.partition('.')[2]}"
    return replace(case, name=name, kind=KIND, model=model.SerializeToString())


def is_proposed(examined: Examined) -> bool:
    """Whether the registry proposes to batch the case."""
    return examined.graph is not None and bool(proposed(examined).batching.max_batch_size)


def proposed(examined: Examined) -> ServingConfig:
    """What the registry proposes, on a session as the reference's."""
    assert examined.graph is not None
    proposal = default_config(examined.signature, examined.graph.invariance)
    return replace(CONFIG, batching=proposal.batching)


def sharing(examined: Examined) -> ServingConfig:
    """The same, waiting until all requests that are to share a run are there."""
    config = proposed(examined)
    rows = len(examined.case.data_sets[0].inputs[0])
    batching = replace(
        config.batching,
        max_queue_delay_microseconds=_SECOND,
        preferred_batch_sizes=(SHARING * rows,),
    )
    return replace(config, batching=batching)


def _declared(graph: Any) -> list[Any]:
    weights = {tensor.name for tensor in graph.initializer}
    return [*(value for value in graph.input if value.name not in weights), *graph.output]


def _is_tensor_of_rows(value: Any) -> bool:
    return value.type.HasField("tensor_type") and len(value.type.tensor_type.shape.dim) > 0


def _rows(values: Sequence[Value]) -> bool:
    if not all(isinstance(value, np.ndarray) and value.ndim for value in values):
        return False
    rows = {len(value) for value in values}
    return len(rows) == 1 and 1 < rows.pop() <= DEFAULT_MAX_BATCH_SIZE // SHARING
