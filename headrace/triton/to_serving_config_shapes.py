"""Converts a Triton config's `dims` and `reshape` to shapes that callers see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.inference import model_config_pb2
from headrace.triton.graph import GraphTensor, GraphTensors
from headrace.type.v1 import serving_config_pb2

if TYPE_CHECKING:
    from headrace.inference.model_config_pb2 import ModelConfig
    from headrace.type.v1.serving_config_pb2 import ServingConfig


def carry_reshapes(left: ModelConfig, taken: ServingConfig) -> None:
    """Take the tensors that are reshaped."""
    for tensors, kind in ((left.input, "inputs"), (left.output, "outputs")):
        for tensor in tensors:
            if tensor.HasField("reshape") and tensor.name:
                shape = getattr(taken.shapes, kind)[tensor.name]
                shape.dims.extend(tensor.dims)
                shape.reshape.dims.extend(tensor.reshape.shape)
                shape.reshape.SetInParent()
                tensor.ClearField("reshape")


def with_missing_ranks(
    taken: serving_config_pb2.ServingConfig,
    config: model_config_pb2.ModelConfig,
    graph: GraphTensors,
) -> serving_config_pb2.ServingConfig:
    """The serving config, in which tensors without a declared rank have the dims of the Triton config."""
    given = serving_config_pb2.ServingConfig()
    given.CopyFrom(taken)
    _add_ranks(given, "inputs", config.input, graph.inputs | graph.optional_inputs)
    _add_ranks(given, "outputs", config.output, graph.outputs)
    return given


def _add_ranks(given: Any, kind: str, specs: Any, tensors: Mapping[str, GraphTensor]) -> None:
    for spec in specs:
        tensor = tensors.get(spec.name)
        if tensor is not None and tensor.shape is None and not spec.HasField("reshape"):
            getattr(given.shapes, kind)[spec.name].dims.extend(spec.dims)
