"""Small ONNX files and the records that go with them, for the tests of the runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from headrace.datatypes import Datatype
from headrace.state.records import ServingConfig, Signature, TensorSpec, VersionRecord
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.onnx_runtime import OnnxRunner, open_session

Dim = int | str | None

ELEMENTS: dict[Datatype, int] = {
    Datatype.BOOL: TensorProto.BOOL,
    Datatype.UINT8: TensorProto.UINT8,
    Datatype.UINT16: TensorProto.UINT16,
    Datatype.UINT32: TensorProto.UINT32,
    Datatype.UINT64: TensorProto.UINT64,
    Datatype.INT8: TensorProto.INT8,
    Datatype.INT16: TensorProto.INT16,
    Datatype.INT32: TensorProto.INT32,
    Datatype.INT64: TensorProto.INT64,
    Datatype.FP16: TensorProto.FLOAT16,
    Datatype.FP32: TensorProto.FLOAT,
    Datatype.FP64: TensorProto.DOUBLE,
    Datatype.BF16: TensorProto.BFLOAT16,
    Datatype.BYTES: TensorProto.STRING,
}
DATATYPES = {element: datatype for datatype, element in ELEMENTS.items()}


@dataclass(frozen=True)
class Tensor:
    """An input or output of a graph that a test makes up."""

    name: str
    datatype: Datatype
    shape: Sequence[Dim]

    def info(self) -> Any:
        """As ONNX has it."""
        return helper.make_tensor_value_info(self.name, ELEMENTS[self.datatype], list(self.shape))


def save(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    weights: Sequence[tuple[str, Any]] = (),
) -> Path:
    """Write a graph to a file."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [tensor.info() for tensor in inputs],
        [tensor.info() for tensor in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    """One node of a graph."""
    return helper.make_node(operator, inputs, outputs, **attributes)


def identity(folder: Path, datatype: Datatype, shape: Sequence[Dim] = ("n", 2)) -> Path:
    """A graph that answers what it gets."""
    given, answer = Tensor("x", datatype, shape), Tensor("y", datatype, shape)
    return save(folder / "model.onnx", [node("Identity", ["x"], ["y"])], [given], [answer])


def record_of(path: Path, config: ServingConfig | None = None) -> VersionRecord:
    """The record of a graph, with the signature that its file states."""
    graph = onnx.load(path, load_external_data=False).graph
    weights = {weight.name for weight in graph.initializer}
    inputs = tuple(_spec(info) for info in graph.input if info.name not in weights)
    signature = Signature(inputs, tuple(map(_spec, graph.output)))
    return VersionRecord(
        "m", 1, "digest", (), path.name, signature, config or ServingConfig(), created_at=0.0
    )


def opened(
    path: Path, config: ServingConfig | None = None, defaults: RuntimeDefaults | None = None
) -> OnnxRunner:
    """A runner for a graph; the test closes it, or leaves it to the end of its process."""
    return open_session(path, record_of(path, config), defaults)


def _spec(info: Any) -> TensorSpec:
    tensor = info.type.tensor_type
    dims = list(tensor.shape.dim)
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in dims)
    return TensorSpec(
        info.name, DATATYPES[tensor.elem_type], shape, tuple(dim.dim_param for dim in dims)
    )
