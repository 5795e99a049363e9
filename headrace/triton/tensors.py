"""Compares a config's inputs and outputs with the graph's, which are the ones that count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headrace.inference import model_config_pb2
from headrace.triton.graph import GraphTensor, GraphTensors
from headrace.triton.hints import NOTHING
from headrace.triton.unsupported_fields import UnsupportedField


def tensor_differences(
    config: model_config_pb2.ModelConfig, graph: GraphTensors
) -> Iterator[UnsupportedField]:
    """An entry for each name, datatype and dimension where config and graph differ."""
    batch = (-1,) if config.max_batch_size > 0 else ()
    required = [spec for spec in config.input if spec.name not in graph.optional_inputs]
    optional = [spec for spec in config.input if spec.name in graph.optional_inputs]
    yield from _differences("input", required, graph.inputs, batch)
    yield from _differences("input", optional, graph.optional_inputs, ())
    yield from _differences("output", config.output, graph.outputs, batch)
    if config.input:
        yield from _unlisted("input", config.input, graph.inputs, "callers must send it")
    if config.output:
        yield from _unlisted("output", config.output, graph.outputs, "it is among the answers")


def _differences(
    kind: str, specs: Any, tensors: Mapping[str, GraphTensor], batch: tuple[int, ...]
) -> Iterator[UnsupportedField]:
    for spec in specs:
        place = f'{kind}["{spec.name}"]'
        tensor = tensors.get(spec.name)
        if tensor is None:
            yield UnsupportedField(
                place, "(all of it)", f"the graph has no such {kind}", "correct names"
            )
            continue
        data_type = model_config_pb2.DataType.Name(spec.data_type)
        if data_type != tensor.data_type:
            why = f"the graph says {tensor.data_type}, and callers must, too"
            yield UnsupportedField(f"{place}.data_type", data_type, why, "change the callers")
        yield from _shape_difference(f"{place}.dims", spec, tensor, batch)


def _shape_difference(
    place: str, spec: Any, tensor: GraphTensor, batch: tuple[int, ...]
) -> Iterator[UnsupportedField]:
    dims = spec.reshape.shape if spec.HasField("reshape") else spec.dims
    said = (*batch, *dims)
    if tensor.shape is None or said == tensor.shape:
        return
    shape = list(tensor.shape[len(batch) :])
    if len(said) == len(tensor.shape) and _covers(tensor.shape, said):
        why = f"the graph takes {shape}: sizes that the config fixes are free"
        yield UnsupportedField(
            place, str(list(dims)), why, "export the graph with fixed sizes, if it must be"
        )
    else:
        yield UnsupportedField(
            place, str(list(dims)), f"the graph says {shape}", "change the callers"
        )


def _covers(shape: tuple[int, ...], said: tuple[int, ...]) -> bool:
    return all(size in (-1, wanted) for size, wanted in zip(shape, said, strict=True))


def _unlisted(
    kind: str, specs: Any, tensors: Mapping[str, GraphTensor], what: str
) -> Iterator[UnsupportedField]:
    listed = {spec.name for spec in specs}
    for name in tensors:
        if name not in listed:
            why = f"the graph has this {kind}, too, and {what}"
            yield UnsupportedField(f'{kind}["{name}"]', "(left out)", why, NOTHING)
