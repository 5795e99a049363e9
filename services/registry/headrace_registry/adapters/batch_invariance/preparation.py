"""A light copy of a model for its analysis: without weights, and without sizes that nobody checks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import onnx
import onnx.inliner

from headrace_registry.adapters.batch_invariance.sizes import BATCH, fresh, symbol
from headrace_registry.adapters.batch_invariance.values import MAX_ELEMENTS, Shape

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

_BATCH_NAME = "#N"


def lightened(model: ModelProto) -> ModelProto:
    """A copy without the elements of large tensors, with its functions inlined."""
    copy = onnx.ModelProto(ir_version=model.ir_version)
    copy.opset_import.extend(model.opset_import)
    copy.functions.extend(model.functions)
    source, graph = model.graph, copy.graph
    graph.name = source.name or "graph"
    graph.input.extend(source.input)
    graph.output.extend(source.output)
    graph.node.extend(source.node)
    graph.initializer.extend(map(_stub, source.initializer))
    graph.sparse_initializer.extend(source.sparse_initializer)
    for tensor in _tensors(graph.node):
        if _is_large(tensor):
            tensor.CopyFrom(_stub(tensor))
    return onnx.inliner.inline_local_functions(copy) if copy.functions else copy


def _is_large(tensor: TensorProto) -> bool:
    is_outside = bool(tensor.data_location == onnx.TensorProto.EXTERNAL)
    return is_outside or math.prod(tensor.dims) > MAX_ELEMENTS


def _stub(tensor: TensorProto) -> TensorProto:
    """The tensor as it is if it is small, else its name, type and shape."""
    if not _is_large(tensor):
        return tensor
    return onnx.TensorProto(
        name=tensor.name,
        dims=tensor.dims,
        data_type=tensor.data_type,
        data_location=onnx.TensorProto.EXTERNAL,  # shape inference does not look for its elements
    )


def _tensors(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            for graph in _graphs(attribute):
                yield from graph.initializer
                yield from _tensors(graph.node)


def _graphs(attribute: AttributeProto) -> list[GraphProto]:
    return [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def constants_of(graph: GraphProto) -> set[str]:
    """The names of tensors that have a value in the file; callers that give another one do not batch."""
    sparse = (tensor.values.name for tensor in graph.sparse_initializer)
    return {*(tensor.name for tensor in graph.initializer), *sparse}


def name_free_dimensions(graph: GraphProto) -> dict[str, Shape]:
    """The shapes of the inputs, the first axis being the batch; the graph gets the same names.

    Equal names of other dimensions are no promise: each becomes one of its own. Raises ValueError, with
    the reason as its message, where an input has no free first dimension.
    """
    given, shapes = constants_of(graph), {}
    for info in graph.input:
        if info.name not in given:
            shapes[info.name] = _named(info)
    if not shapes:
        raise ValueError("the graph has no inputs")
    return shapes


def _named(info: ValueInfoProto) -> Shape:
    name = info.name[:80]
    kind = info.type.tensor_type
    if info.type.WhichOneof("value") != "tensor_type" or not kind.HasField("shape"):
        raise ValueError(f"input {name!r} has no known rank")
    dims = kind.shape.dim
    if not dims:
        raise ValueError(f"input {name!r} is a scalar")
    if dims[0].dim_value > 0:
        raise ValueError(f"the first dimension of {name!r} is fixed to {dims[0].dim_value}")
    for axis, dim in enumerate(dims):
        if not axis or dim.dim_value <= 0:
            dim.dim_param = f"{info.name}.{axis}" if axis else _BATCH_NAME
    sizes = (
        d.dim_value if d.WhichOneof("value") == "dim_value" else symbol(d.dim_param) for d in dims
    )
    return tuple(BATCH if not axis else size for axis, size in enumerate(sizes))


def forget_shapes(graph: GraphProto) -> None:
    """Delete what the graph says of its tensors' shapes: nobody checks it, it may be wrong."""
    del graph.value_info[:]
    for info in graph.output:
        if info.type.WhichOneof("value") == "tensor_type":
            info.type.tensor_type.ClearField("shape")
    for node in graph.node:
        for attribute in node.attribute:
            for inner in _graphs(attribute):
                for info in inner.input:
                    if info.type.WhichOneof("value") == "tensor_type":
                        info.type.tensor_type.ClearField("shape")
                forget_shapes(inner)


def inferred_shapes(model: ModelProto) -> dict[str, Shape]:
    """Return what ONNX's own inference finds; nothing where it fails. It may bring the process down."""
    found: dict[str, Shape] = {}
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        return found
    _collect(inferred.graph, found)
    return found


def _collect(graph: GraphProto, found: dict[str, Shape]) -> None:
    for info in (*graph.value_info, *graph.output):
        kind = info.type.tensor_type
        if info.type.WhichOneof("value") == "tensor_type" and kind.HasField("shape"):
            found.setdefault(info.name, tuple(map(_size, kind.shape.dim)))
    for node in graph.node:
        for attribute in node.attribute:
            for inner in _graphs(attribute):
                _collect(inner, found)


def _size(dim: Any) -> Any:
    if dim.WhichOneof("value") == "dim_value":
        return dim.dim_value
    if not dim.dim_param:
        return fresh()
    if dim.dim_param == _BATCH_NAME:
        return BATCH
    return symbol(f"#{dim.dim_param}" if _BATCH_NAME in dim.dim_param else dim.dim_param)
