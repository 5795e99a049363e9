"""Simplifies graphs with onnxslim: folded constants, fused nodes, no dead ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.lifecycle.extras import from_extra

if TYPE_CHECKING:
    from onnx import ModelProto


def simplified(model: ModelProto) -> ModelProto:
    """The graph, simplified. Raises FailedPrecondition (LIFECYCLE_EXTRA_MISSING)."""
    onnxslim = from_extra("onnxslim", "simplify")
    copy = type(model)()
    copy.CopyFrom(model)
    made: ModelProto = onnxslim.slim(copy)
    return made
