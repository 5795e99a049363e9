"""Converts graphs to 16 bit floats, inputs and outputs left as they are."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from headrace.lifecycle.optimisation.graph_editing import float_weights, not_offered

if TYPE_CHECKING:
    from onnx import ModelProto


def halved(model: ModelProto) -> ModelProto:
    """The graph with FP16 weights. Raises FailedPrecondition (NOTHING_TO_OPTIMISE)."""
    if not float_weights(model):
        raise not_offered("fp16: the graph has no FP32 weights")
    from onnxruntime.transformers import float16

    copy = type(model)()
    copy.CopyFrom(model)
    with warnings.catch_warnings():  # of values that 16 bits cannot hold; the comparison tells
        warnings.simplefilter("ignore")
        made: ModelProto = float16.convert_float_to_float16(copy, keep_io_types=True)
    return made
