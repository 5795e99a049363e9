"""Reads the config that a caller loads a model with; what of it cannot be applied is refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import json_format

from headrace.conversion import serving_config_from_proto
from headrace.datatypes import Datatype
from headrace.errors import InvalidArgument
from headrace.inference import model_config_pb2
from headrace.state.records import ServingConfig, Signature, TensorSpec
from headrace.triton.backends import check_backend
from headrace.triton.graph import GraphTensor, GraphTensors
from headrace.triton.hints import NOTHING
from headrace.triton.impossible import impossible_values
from headrace.triton.to_serving_config import carry_over, is_complete
from headrace_inference.domain.reconciliation.model_control import LoadRequest

logger = logging.getLogger(__name__)


def parse_config(request: LoadRequest) -> model_config_pb2.ModelConfig:
    """The config of a request. Raises InvalidArgument (MODEL_FILES_INVALID, TRITON_BACKEND_UNSUPPORTED)."""
    if request.config is None:
        raise invalid("files need the parameter 'config', a ModelConfig as JSON")
    config = model_config_pb2.ModelConfig()
    if request.config.lstrip()[:1] != "{":  # the parser takes an empty list for an empty message
        raise invalid("Invalid config override: a JSON object is expected")
    try:
        json_format.Parse(request.config, config)
    except (json_format.ParseError, RecursionError) as error:
        raise invalid(f"Invalid config override: {error}") from None
    if config.name not in ("", request.name):
        raise invalid(f"the config names the model '{config.name}', the load '{request.name}'")
    check_backend(request.name, config)
    wrong = "; ".join(impossible_values(config))
    if wrong:
        raise invalid(f"the config of '{request.name}' cannot be: {wrong}")
    return config


def serving_config(config: model_config_pb2.ModelConfig) -> ServingConfig:
    """Return how to serve a model of this config. Raises InvalidArgument if there is no such setting."""
    rest = model_config_pb2.ModelConfig()
    rest.CopyFrom(config)
    rest.ClearField("version_policy")  # the load follows it, and so it does label files
    for output in rest.output:
        output.ClearField("label_filename")
    for spec in rest.input:
        spec.ClearField("optional")  # the graph says it, and the config must agree
    carried = carry_over(rest)
    refused = [part for part in carried.left if part.remedy != NOTHING]
    if refused:
        listed = "; ".join(f"{part.field} ({part.why}: {part.remedy})" for part in refused)
        raise invalid(f"the config has settings that cannot be applied: {listed}")
    if carried.left:
        facts = {"model": config.name, "fields": [part.field for part in carried.left]}
        logger.warning("parts of a config make no difference here", extra=facts)
    return serving_config_from_proto(carried.serving_config, ServingConfig(), "config")


def declared_signature(config: model_config_pb2.ModelConfig, graph: GraphTensors) -> Signature:
    """Return what the graph takes and gives, as narrow as the config declares it, before reshapes.

    Raises InvalidArgument (MODEL_FILES_INVALID) where the config declares something else.
    """
    inputs = graph.inputs | graph.optional_inputs
    said = {spec.name: _declared(spec, inputs, config) for spec in config.input}
    said |= {
        spec.name: _graph_dims(spec) for spec in config.input if spec.name in graph.optional_inputs
    }
    given = {spec.name: _declared(spec, graph.outputs, config) for spec in config.output}
    wrong = (
        *_differences("input", config.input, inputs, said),
        *_differences("output", config.output, graph.outputs, given),
        *_left_out(config, graph),
    )
    if wrong:
        raise invalid(f"the config does not fit the graph: {'; '.join(wrong)}")
    return Signature(
        tuple(_spec(name, each, said) for name, each in graph.inputs.items()),
        tuple(
            _spec(name, each, given)
            for name, each in graph.outputs.items()
            if name in given or not given
        ),
        tuple(_spec(name, each, said) for name, each in graph.optional_inputs.items()),
    )


def _declared(
    spec: Any, tensors: Mapping[str, GraphTensor], config: model_config_pb2.ModelConfig
) -> tuple[int, ...]:
    """A tensor's whole shape: dims stand behind the batch dimension, where there is one.

    Of a config that leaves inputs or outputs out Triton completes the batching, too, so that its dims may
    leave out a free first dimension of the graph.
    """
    tensor = tensors.get(spec.name)
    shape = tensor.shape if tensor else None
    dims = _graph_dims(spec)
    completed = not is_complete(config) and shape is not None and len(shape) == len(dims) + 1
    batches = config.max_batch_size > 0 or completed
    return (-1, *dims) if batches else dims


def _graph_dims(spec: Any) -> tuple[int, ...]:
    """The dims that the graph has: those of the reshape, where there is one."""
    return tuple(spec.reshape.shape if spec.HasField("reshape") else spec.dims)


def _differences(
    kind: str,
    specs: Any,
    tensors: Mapping[str, GraphTensor],
    said: Mapping[str, tuple[int, ...]],
) -> Iterator[str]:
    for spec in specs:
        tensor = tensors.get(spec.name)
        if tensor is None:
            names = ", ".join(map(repr, tensors))
            yield f"the graph has no {kind} '{spec.name}'; it has {names}"
            continue
        data_type = model_config_pb2.DataType.Name(spec.data_type)
        if data_type != tensor.data_type:
            yield f"{kind} '{spec.name}' is {tensor.data_type}, not {data_type}"
        if tensor.shape is not None and not _covers(tensor.shape, said[spec.name]):
            shapes = f"{list(tensor.shape)}, not {list(said[spec.name])}"
            yield f"{kind} '{spec.name}' has the shape {shapes} (batch dimension included)"


def _left_out(config: model_config_pb2.ModelConfig, graph: GraphTensors) -> Iterator[str]:
    listed = {spec.name for spec in config.input}
    for name in graph.inputs:
        if listed and name not in listed:
            yield f"the config leaves out input '{name}', which the graph needs"
    for spec in config.input:
        if spec.optional and spec.name in graph.inputs:
            yield f"input '{spec.name}' is not optional: the graph has no default for it"


def _covers(shape: tuple[int, ...], said: tuple[int, ...]) -> bool:
    return len(shape) == len(said) and all(
        size in (-1, wanted) for size, wanted in zip(shape, said, strict=True)
    )


def _spec(name: str, tensor: GraphTensor, declared: Mapping[str, tuple[int, ...]]) -> TensorSpec:
    datatype = tensor.data_type.removeprefix("TYPE_").replace("STRING", "BYTES")
    if datatype not in Datatype.__members__:
        raise invalid(f"'{name}' is not a tensor of a datatype of the protocol")
    shape = declared.get(name, tensor.shape)
    return TensorSpec(name, Datatype(datatype), shape or (), unranked=shape is None)


def invalid(what: str) -> InvalidArgument:
    """Make the error for a model that a caller loads wrongly."""
    return InvalidArgument("MODEL_FILES_INVALID", what)
