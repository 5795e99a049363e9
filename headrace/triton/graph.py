"""The inputs and outputs that an ONNX file declares, in Triton's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_DATA_TYPES = {"FLOAT": "FP32", "FLOAT16": "FP16", "DOUBLE": "FP64", "BFLOAT16": "BF16"}
"""ONNX's names that are not Triton's."""


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """An input or output: Triton's datatype, and sizes with -1 for free ones (None: not declared)."""

    data_type: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class GraphTensors:
    """A graph's inputs and outputs by name."""

    inputs: Mapping[str, GraphTensor] = field(default_factory=dict)
    outputs: Mapping[str, GraphTensor] = field(default_factory=dict)


def read_graph(path: Path) -> GraphTensors | None:
    """What a file declares; None for one that is no ONNX graph, which the registry will refuse."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except DecodeError:
        return None
    constants = {tensor.name for tensor in graph.initializer}
    inputs = (value for value in graph.input if value.name not in constants)
    return GraphTensors(_tensors(inputs), _tensors(graph.output))


def _tensors(values: Iterable[Any]) -> dict[str, GraphTensor]:
    return {value.name: _tensor(value.type.tensor_type) for value in values}


def _tensor(declared: Any) -> GraphTensor:
    import onnx

    names = {number: name for name, number in onnx.TensorProto.DataType.items()}
    name = names.get(declared.elem_type, str(declared.elem_type))
    shape = _shape(declared.shape.dim) if declared.HasField("shape") else None
    return GraphTensor(f"TYPE_{_DATA_TYPES.get(name, name)}", shape)


def _shape(sizes: Iterable[Any]) -> tuple[int, ...]:
    return tuple(
        size.dim_value if size.WhichOneof("value") == "dim_value" else -1 for size in sizes
    )
