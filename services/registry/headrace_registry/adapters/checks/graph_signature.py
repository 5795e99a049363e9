"""The signature of a graph: what ONNX Runtime says that it takes and gives, if that can travel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import onnx

from headrace import errors
from headrace.datatype_names import Datatype
from headrace.state.records import Signature, TensorSpec

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

_DATATYPES: dict[int, Datatype] = {
    onnx.TensorProto.BOOL: Datatype.BOOL,
    onnx.TensorProto.UINT8: Datatype.UINT8,
    onnx.TensorProto.UINT16: Datatype.UINT16,
    onnx.TensorProto.UINT32: Datatype.UINT32,
    onnx.TensorProto.UINT64: Datatype.UINT64,
    onnx.TensorProto.INT8: Datatype.INT8,
    onnx.TensorProto.INT16: Datatype.INT16,
    onnx.TensorProto.INT32: Datatype.INT32,
    onnx.TensorProto.INT64: Datatype.INT64,
    onnx.TensorProto.FLOAT16: Datatype.FP16,
    onnx.TensorProto.FLOAT: Datatype.FP32,
    onnx.TensorProto.DOUBLE: Datatype.FP64,
    onnx.TensorProto.BFLOAT16: Datatype.BF16,
    onnx.TensorProto.STRING: Datatype.BYTES,
}
_RUNTIME_TYPES: dict[str, Datatype] = {
    "tensor(bool)": Datatype.BOOL,
    "tensor(uint8)": Datatype.UINT8,
    "tensor(uint16)": Datatype.UINT16,
    "tensor(uint32)": Datatype.UINT32,
    "tensor(uint64)": Datatype.UINT64,
    "tensor(int8)": Datatype.INT8,
    "tensor(int16)": Datatype.INT16,
    "tensor(int32)": Datatype.INT32,
    "tensor(int64)": Datatype.INT64,
    "tensor(float16)": Datatype.FP16,
    "tensor(float)": Datatype.FP32,
    "tensor(double)": Datatype.FP64,
    "tensor(bfloat16)": Datatype.BF16,
    "tensor(string)": Datatype.BYTES,
}

_ZIP_MAP_OPTION = (
    "export it with tensors: options={'zipmap': False} of skl2onnx's to_onnx and convert_sklearn, "
    "zipmap=False of onnxmltools' converters"
)
_REMEDIES = {
    "map": _ZIP_MAP_OPTION,
    "sequence of maps": _ZIP_MAP_OPTION,
    "sequence": "export it with an output for each tensor, or join them with ConcatFromSequence",
    "optional": "export it as a plain tensor: with OptionalGetElement, or without the optional",
    "sparse tensor": "export it as a dense tensor",
}


def declared_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """The inputs that a request must bring, as declared: those with a default are not among them."""
    given = set(_initialized(model.graph))
    return [value for value in model.graph.input if value.name not in given]


def declared_datatype(number: int) -> Datatype | None:
    """Return the datatype that a graph declares by its number; None for one that cannot travel."""
    return _DATATYPES.get(number)


def check_declared(model: ModelProto) -> None:
    """Pass if nothing is declared that cannot travel: ONNX Runtime's own refusal would say less.

    Raises InvalidArgument (DATATYPE_UNSUPPORTED).
    """
    for value in (*declared_inputs(model), *model.graph.output):
        kind = value.type.WhichOneof("value")
        if kind == "tensor_type" and value.type.tensor_type.elem_type:
            _declared_datatype(value)
        elif kind not in (None, "tensor_type"):
            raise _unsupported(value.name, _kind_of(value.type))


def read_signature(session: Any, model: ModelProto) -> Signature:
    """Return what an open session takes and gives. Raises InvalidArgument (DATATYPE_UNSUPPORTED).

    ONNX Runtime's shapes are better than those declared, for it infers; but for it a scalar and an unknown
    rank look alike, and then what is declared says which. Inputs with a default that cannot travel are left
    out: the default holds.
    """
    scalars = set(_declared_scalars(model))
    defaults = session.get_overridable_initializers()
    return Signature(
        inputs=tuple(_spec(arg, scalars) for arg in session.get_inputs()),
        outputs=tuple(_spec(arg, scalars) for arg in session.get_outputs()),
        optional_inputs=tuple(_spec(arg, scalars) for arg in defaults if _travels(arg)),
    )


def _initialized(graph: GraphProto) -> Iterator[str]:
    yield from (tensor.name for tensor in graph.initializer)
    yield from (sparse.values.name for sparse in graph.sparse_initializer)


def _declared_scalars(model: ModelProto) -> Iterable[str]:
    """Those declared with no dimensions, and defaults, whose shape is that of their values."""
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.HasField("shape") and not value.type.tensor_type.shape.dim:
            yield value.name
    yield from _initialized(model.graph)


def _spec(arg: Any, scalars: set[str]) -> TensorSpec:
    datatype = _RUNTIME_TYPES.get(arg.type)
    if datatype is None:
        raise _unsupported(arg.name, _runtime_kind(arg.type))
    return TensorSpec(
        name=arg.name,
        datatype=datatype,
        shape=tuple(dim if isinstance(dim, int) and dim >= 0 else -1 for dim in arg.shape),
        dim_names=tuple(dim if isinstance(dim, str) else "" for dim in arg.shape),
        unranked=not arg.shape and arg.name not in scalars,
    )


def _travels(arg: Any) -> bool:
    return arg.type in _RUNTIME_TYPES


def _declared_datatype(value: ValueInfoProto) -> Datatype:
    number = value.type.tensor_type.elem_type
    datatype = _DATATYPES.get(number)
    if datatype is None:
        names = {number: name for name, number in onnx.TensorProto.DataType.items()}
        raise _unsupported(value.name, f"tensor of {names.get(number, number)}")
    return datatype


def _kind_of(declared: Any) -> str:
    kind = str(declared.WhichOneof("value")).removesuffix("_type").replace("_", " ")
    of_maps = kind == "sequence" and declared.sequence_type.elem_type.HasField("map_type")
    return "sequence of maps" if of_maps else kind


def _runtime_kind(text: str) -> str:
    """Return what ONNX Runtime's name of a type stands for."""
    if text.startswith("seq("):
        return "sequence of maps" if text.startswith("seq(map(") else "sequence"
    kinds = {"map(": "map", "optional(": "optional", "sparse_tensor(": "sparse tensor"}
    return next((kind for start, kind in kinds.items() if text.startswith(start)), text[:80])


def _unsupported(name: str, kind: str) -> errors.InvalidArgument:
    remedy = _REMEDIES.get(kind, "cast it in the graph")
    return errors.InvalidArgument(
        "DATATYPE_UNSUPPORTED",
        f"{name[:200]!r} is of type {kind}, which cannot travel: inputs and outputs must be tensors of "
        f"{', '.join(Datatype)}; {remedy}",
    )
