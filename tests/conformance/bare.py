"""The reference: a case in bare ONNX Runtime, and what the registry's check says of it.

Runs in worker processes, so that a graph that crashes one is one case's outcome.
"""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnxruntime
from onnx.backend.test.runner import Runner

from headrace.errors import InvalidArgument
from headrace.onnx_runtime.errors import clean_message
from headrace.state.records import GraphOptimization, ServingConfig, SessionOptions, Signature
from headrace_registry.adapters.checks.graph_check import CheckedGraph, check_graph
from tests.conformance.cases import Case, DataSet, Value

CONFIG = ServingConfig(
    session=SessionOptions(
        intra_op_threads=1, inter_op_threads=1, graph_optimization=GraphOptimization.ALL
    )
)
"""How Headrace serves the cases: no batching, and ONNX Runtime told what the reference is told."""

GRAPH = "model.onnx"
RUNS = 4
"""A seeded Dropout answers its first two runs alike, and no others."""

_SILENT = 4
_ELEMENTS = {
    "bfloat16": (16, np.uint16),
    "float8_e4m3fn": (17, np.uint8),
    "float8_e4m3fnuz": (18, np.uint8),
    "float8_e5m2": (19, np.uint8),
    "float8_e5m2fnuz": (20, np.uint8),
}
"""Of dtypes that numpy itself does not have: ONNX's element type, and what holds the same bits."""
_DTYPES = {number: np.dtype(getattr(ml_dtypes, name)) for name, (number, _) in _ELEMENTS.items()}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the registry does not take a model."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Examined:
    """A case with what the reference gives for each data set, and the registry's word on it.

    `answers` are there where `failure` is not; `opens` says whether the model could at least be opened.
    `as_expected` says whether the answers are those that the suite
    expects, within its tolerance. A case that is not `repeatable` is random: one session answered the same
    inputs in several ways.
    """

    case: Case
    answers: tuple[tuple[Value, ...], ...] = ()
    failure: str = ""
    opens: bool = True
    as_expected: bool = False
    repeatable: bool = True
    graph: CheckedGraph | None = None
    refusal: Refusal | None = None

    @property
    def signature(self) -> Signature:
        """The signature of a model that the registry takes."""
        assert self.graph is not None, self.case.name
        return self.graph.signature


def examine(case: Case) -> Examined:
    """Run the case in bare ONNX Runtime, and let the registry's check look at its model."""
    with tempfile.TemporaryDirectory(prefix="headrace-conformance-") as folder:
        path = Path(folder) / GRAPH
        path.write_bytes(case.model)
        graph, refusal = _check(path.parent)
        session: Any = None
        try:
            session = _open(path)
            answers = _run(session, case)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the outcome
            text = clean_message(str(error) or repr(error), path.parent)
            opens = session is not None
            return Examined(case, (), text, opens, graph=graph, refusal=refusal)
    return Examined(
        case,
        answers=answers[0],
        as_expected=_as_expected(case, answers[0]),
        repeatable=all(_bits(answers[0]) == _bits(again) for again in answers[1:]),
        graph=graph,
        refusal=refusal,
    )


def _check(folder: Path) -> tuple[CheckedGraph | None, Refusal | None]:
    try:
        return check_graph(folder, GRAPH), None
    except InvalidArgument as error:
        return None, Refusal(error.reason, error.message)


def _open(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = CONFIG.session.intra_op_threads
    options.inter_op_num_threads = CONFIG.session.inter_op_threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(session: Any, case: Case) -> list[tuple[tuple[Value, ...], ...]]:
    return [tuple(_call(session, data_set) for data_set in case.data_sets) for _ in range(RUNS)]


def _call(session: Any, data_set: DataSet) -> tuple[Value, ...]:
    names = [value.name for value in session.get_inputs()]
    runs = onnxruntime.RunOptions()
    runs.log_severity_level = _SILENT
    types = [value.type for value in (*session.get_inputs(), *session.get_outputs())]
    if not any("bfloat16" in kind or "float8" in kind for kind in types):
        return tuple(session.run(None, dict(zip(names, data_set.inputs, strict=True)), runs))
    values = {name: _value(value) for name, value in zip(names, data_set.inputs, strict=True)}
    outputs = [value.name for value in session.get_outputs()]
    return tuple(map(_read, session.run_with_ort_values(outputs, values, runs)))


def _value(value: Value) -> Any:
    array = np.ascontiguousarray(value).reshape(value.shape)
    if array.dtype.name not in _ELEMENTS:
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)
    element, bits = _ELEMENTS[array.dtype.name]
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(bits), element)


def _read(value: Any) -> Value:
    dtype = _DTYPES.get(value.element_type())
    if dtype is None:
        return value.numpy()
    raw = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(raw, dtype).reshape(value.shape())


def _as_expected(case: Case, answers: Sequence[Sequence[Value]]) -> bool:
    try:
        for data_set, outputs in zip(case.data_sets, answers, strict=True):
            Runner.assert_similar_outputs(data_set.expected, outputs, case.rtol, case.atol)
    except (AssertionError, TypeError, ValueError):
        return False
    return True


def _bits(answers: Sequence[Sequence[Value]]) -> list[list[Any]]:
    return [[_bits_of(value) for value in outputs] for outputs in answers]


def _bits_of(value: Value) -> Any:
    if not isinstance(value, np.ndarray):
        return repr(value)
    return value.tolist() if value.dtype.kind == "O" else (value.shape, value.tobytes())
