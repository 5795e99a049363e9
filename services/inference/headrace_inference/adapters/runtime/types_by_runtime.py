"""The element types of values that only ONNX Runtime knows: what its own operators, and others', make."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import onnxruntime
from google.protobuf.message import EncodeError

from headrace_inference.adapters.runtime.element_types import NUMBERS, UNKNOWN
from headrace_inference.adapters.runtime.ort_errors import RUNTIME_ERRORS

if TYPE_CHECKING:
    from onnx import ModelProto

_FAILURES: tuple[type[Exception], ...] = (EncodeError, OSError, *RUNTIME_ERRORS)


def types_by_runtime(model: ModelProto, path: Path, names: Sequence[str]) -> dict[str, int]:
    """The types of values of a model, whose file is at a path; what does not open tells none."""
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    known = {value.name for value in asked.graph.output}
    for name in sorted(set(names) - known):
        asked.graph.output.add(name=name)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix="typed-", suffix=".onnx") as copy:
            copy.write(asked.SerializeToString())
            copy.flush()
            session = onnxruntime.InferenceSession(
                copy.name, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
    except _FAILURES:
        return {}
    return {
        value.name: kind
        for value in session.get_outputs()
        if value.name in names and (kind := _number(value.type))
    }


def _number(text: str) -> int:
    name = text.removeprefix("tensor(").removesuffix(")").upper()
    return NUMBERS.get(name, UNKNOWN)
