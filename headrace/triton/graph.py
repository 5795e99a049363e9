"""The inputs and outputs that an ONNX file declares, in Triton's words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_DATA_TYPES = {"FLOAT": "FP32", "FLOAT16": "FP16", "DOUBLE": "FP64", "BFLOAT16": "BF16"}
"""ONNX's names that are not Triton's."""


FIRST_IR_WITH_DEFAULTS = 4
"""The version of ONNX's format from which an initializer need not be an input."""


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """An input or output: Triton's datatype, and sizes with -1 for free ones (None: not declared)."""

    data_type: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class GraphTensors:
    """A graph's inputs and outputs by name."""

    inputs: dict[str, GraphTensor] = field(default_factory=dict)
    outputs: dict[str, GraphTensor] = field(default_factory=dict)
    optional_inputs: dict[str, GraphTensor] = field(default_factory=dict)
    """Those that have a default in the graph."""


def read_graph(path: Path) -> GraphTensors | None:
    """Return what a file declares; None if it is not an ONNX graph, which the registry will refuse."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError:
        return None
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {sparse.values.name for sparse in graph.sparse_initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    # Older graphs list all their weights as inputs, and ONNX Runtime takes none of them from callers.
    named = graph.input if model.ir_version >= FIRST_IR_WITH_DEFAULTS else ()
    optional = [value for value in named if value.name in constants]
    return GraphTensors(_tensors(inputs), _tensors(graph.output), _tensors(optional))


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
