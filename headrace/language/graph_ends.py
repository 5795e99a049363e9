"""The inputs and outputs of a graph by name, as ONNX Runtime describes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.datatype_names import Datatype

_DATATYPES = {
    "tensor(bool)": Datatype.BOOL,
    "tensor(int8)": Datatype.INT8,
    "tensor(uint8)": Datatype.UINT8,
    "tensor(int32)": Datatype.INT32,
    "tensor(int64)": Datatype.INT64,
    "tensor(float16)": Datatype.FP16,
    "tensor(float)": Datatype.FP32,
    "tensor(bfloat16)": Datatype.BF16,
}
"""Those that language models take and give."""

LOGITS_TO_KEEP = ("num_logits_to_keep", "logits_to_keep")
"""The inputs that tell decoders of how many tokens logits are wanted; some may be left out."""


@dataclass(frozen=True, slots=True)
class GraphEnd:
    """An input or output. `datatype` is None for what no language model has; -1 in `shape`: any size."""

    datatype: Datatype | None
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GraphEnds:
    """All that a graph takes and gives."""

    inputs: Mapping[str, GraphEnd]
    outputs: Mapping[str, GraphEnd]


def ends_of_session(session: Any) -> GraphEnds:
    """Return the inputs and outputs of an open `onnxruntime.InferenceSession`."""
    optional = [one for one in session.get_overridable_initializers() if one.name in LOGITS_TO_KEEP]
    return GraphEnds(_by_name([*session.get_inputs(), *optional]), _by_name(session.get_outputs()))


def _by_name(listed: Iterable[Any]) -> Mapping[str, GraphEnd]:
    return {one.name: GraphEnd(_DATATYPES.get(one.type), _shape(one.shape)) for one in listed}


def _shape(dims: Iterable[object]) -> tuple[int, ...]:
    return tuple(dim if isinstance(dim, int) and dim >= 0 else -1 for dim in dims)
