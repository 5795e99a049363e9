"""What bare ONNX Runtime answers to made-up inputs, written into a file for another process.

    python -m tests.conformance.published_inputs GRAPH FILE

Free dimensions are tried at several sizes until the model runs, the same each time.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.external_data_helper import uses_external_data

BARE_SECONDS = 120.0
_SIZES = (16, 32, 48, 64, 96, 128, 224, 320, 640, 4000, 16000, 76, 512, 576, 2, 1)
"""Of free dimensions other than the first: short texts, images, and audio."""

_STATES = ("state", "h", "c", "h0", "c0", "hidden")
"""Inputs that are a state of one sequence."""

_THREADS = (1, 2, 0)
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}


@dataclass(frozen=True, slots=True)
class Reference:
    """Inputs, and the outputs that bare ONNX Runtime gives, once for each number of threads."""

    inputs: dict[str, Any]
    outputs: list[dict[str, Any]]
    external: bool
    """Whether weights lie in files beside the graph."""

    def difference(self, outputs: Mapping[str, Any]) -> str:
        """Why these are not the outputs, or an empty text. How many threads add up is no difference."""
        if any(
            all(_same(given[name], outputs.get(name)) for name in given) for given in self.outputs
        ):
            return ""
        first = self.outputs[0]
        wrong = [name for name in first if not _same(first[name], outputs.get(name))]
        return f"other answers in {wrong}"


def _same(expected: Any, actual: Any) -> bool:
    if actual is None or expected.shape != actual.shape:
        return False
    if expected.dtype == np.object_:
        return [_text(each) for each in expected.ravel()] == [
            _text(each) for each in actual.ravel()
        ]
    return bool(expected.tobytes() == actual.tobytes())


def _text(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def made_up(inputs: Sequence[Any], size: int, *, indexes: bool) -> dict[str, Any] | None:
    """Inputs with free dimensions of a size, the first of them 1; None for what is no tensor."""
    random = np.random.default_rng(7)
    feeds: dict[str, Any] = {}
    for given in inputs:
        dtype = _DTYPES.get(given.type)
        if dtype is None:
            return None
        sizes = enumerate(given.shape)
        free = 1 if given.name in _STATES else size
        shape = [one if isinstance(one, int) else free if place else 1 for place, one in sizes]
        feeds[given.name] = _values(given.name, dtype, shape, random, indexes=indexes)
    return feeds


def _values(name: str, dtype: Any, shape: Sequence[int], random: Any, *, indexes: bool) -> Any:
    if dtype is np.object_:
        return np.full(shape, "7", np.object_)
    if name in ("sr", "sampling_rate"):
        return np.full(shape, 16000, dtype)
    if np.issubdtype(dtype, np.floating):
        return random.random(shape).astype(dtype)
    if dtype is np.bool_ or "mask" in name:
        return np.ones(shape, dtype)
    return random.integers(0, 100, shape).astype(dtype) if indexes else np.ones(shape, dtype)


def attempts(session: Any) -> Iterator[dict[str, Any]]:
    """Inputs to try, the likely ones first."""
    for size in _SIZES:
        for indexes in (True, False):
            feeds = made_up(session.get_inputs(), size, indexes=indexes)
            if feeds is not None:
                yield feeds


def first_that_runs(session: Any) -> dict[str, Any] | None:
    """The first inputs that the model runs."""
    for feeds in attempts(session):
        try:
            session.run(None, feeds)
        except Exception:  # noqa: BLE001  # whatever it is, these are not for this model
            continue
        return feeds
    return None


def main(graph: Path, kept: Path) -> int:
    """Write the reference; 1 where there is none."""
    sessions = [_session(graph, threads) for threads in _THREADS]
    feeds = first_that_runs(sessions[0])
    if feeds is None:
        return 1
    names = [value.name for value in sessions[0].get_outputs()]
    outputs = [dict(zip(names, session.run(None, feeds), strict=True)) for session in sessions]
    if any(not isinstance(value, np.ndarray) for given in outputs for value in given.values()):
        return 1
    tensors = onnx.load(graph, load_external_data=False).graph.initializer
    external = any(map(uses_external_data, tensors))
    kept.write_bytes(pickle.dumps((feeds, outputs, external)))
    return 0


def _session(graph: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
