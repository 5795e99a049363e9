"""Graphs for the tests of batch invariance, and what ONNX Runtime makes of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]
Feeds = Mapping[str, Array]
Shape = Sequence[int | str | None] | None

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
MICROSOFT, CLASSICAL = "com.microsoft", "ai.onnx.ml"


def value(name: str, shape: Shape = ("n", 4), element: int = FLOAT) -> Any:
    """A declared input or output."""
    return helper.make_tensor_value_info(name, element, shape)


def model(
    nodes: Sequence[Any],
    inputs: Sequence[Any] = (),
    outputs: Sequence[Any] = (),
    weights: Mapping[str, Any] | None = None,
    *,
    opset: int = 21,
) -> Any:
    """A model; by default from x to y."""
    constants = [numpy_helper.from_array(np.asarray(v), k) for k, v in (weights or {}).items()]
    graph = helper.make_graph(
        nodes, "rows", inputs or [value("x")], outputs or [value("y", None)], constants
    )
    opsets = [
        helper.make_opsetid("", opset),
        helper.make_opsetid(MICROSOFT, 1),
        helper.make_opsetid(CLASSICAL, 3),
    ]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def node(operator: str, *inputs: str, outputs: Sequence[str] = ("y",), **attributes: Any) -> Any:
    """A node, to y unless said otherwise."""
    return helper.make_node(operator, inputs, list(outputs), **attributes)


def session(built: Any) -> Any:
    """A session of one thread. Raises what ONNX Runtime raises."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        built.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
    )


def ran(opened: Any, feeds: Feeds) -> list[Array] | None:
    """The outputs, or None where it does not run."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    try:
        outputs: list[Array] = opened.run(None, dict(feeds), options)
    except Exception:  # noqa: BLE001  # ONNX Runtime has no common class for its errors
        return None
    return outputs


def stays_apart(opened: Any, rows: Sequence[Feeds]) -> bool | None:
    """Whether rows give together what they give alone; None where they do not run."""
    alone = [ran(opened, row) for row in rows]
    together = ran(opened, {k: np.concatenate([row[k] for row in rows]) for k in rows[0]})
    if together is None or any(one is None for one in alone):
        return None
    outputs = zip(*[one for one in alone if one is not None], strict=True)
    return all(_alike(*pair) for pair in zip(outputs, together, strict=True))


def _alike(alone: Sequence[Array], together: Array) -> bool:
    shapes = {one.shape for one in alone}
    if len(shapes) != 1 or together.shape != (len(alone), *alone[0].shape[1:]):
        return False
    pairs = zip(alone, together, strict=True)
    return all(one.shape[0] == 1 and _close(one[0], other) for one, other in pairs)


def _close(one: Any, other: Any) -> bool:
    if np.asarray(one).dtype.kind not in "fV":
        return bool(np.array_equal(one, other))
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    largest = np.abs(one[np.isfinite(one)]).max(initial=0.0)
    return bool(np.allclose(other, one, rtol=1e-3, atol=1e-3 * largest + 1e-4, equal_nan=True))


def is_onnx_valid(built: Any) -> bool:
    """Whether ONNX's checker takes it."""
    try:
        onnx.checker.check_model(built)
    except onnx.checker.ValidationError:
        return False
    return True
