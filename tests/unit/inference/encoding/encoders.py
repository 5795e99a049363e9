"""Opens tiny encoders, and asks them from many threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from headrace.errors import HeadraceError
from headrace.state.records import ServingConfig, Signature, VersionRecord
from headrace_inference.adapters.encoding.open_encoder import (
    OpenEncoder,
    OpenModel,
    open_encoder,
)
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.encoding.requests import EncodingCall, EncodingRequest, Vectors
from headrace_inference.domain.scheduling.watchdog import RunWatchdog


def record_of(config: ServingConfig | None = None) -> VersionRecord:
    """Make the record of an encoder whose graph is model.onnx."""
    config = config or ServingConfig()
    return VersionRecord("tiny", 1, "0" * 64, (), "model.onnx", Signature((), ()), config, 0.0)


@dataclass
class Started:
    """An encoder that is open and runs."""

    runner: OpenEncoder
    text_encoder: OpenModel
    remark: str


@contextmanager
def opened(folder: Path, config: ServingConfig | None = None) -> Iterator[Started]:
    """Open the encoder in a folder, and close it."""
    record, defaults = record_of(config), RuntimeDefaults(cores=1)
    runner = open_encoder(folder / "model.onnx", record, defaults, SYSTEM_CLOCK)
    watchdog = RunWatchdog(SYSTEM_CLOCK)
    model = runner.start_encoder(watchdog)
    try:
        with watchdog.watching():
            yield Started(runner, model, runner.remark)
            model.encoder.stop()
    finally:
        model.encoder.stop()
        runner.close()


class Outcome:
    """A sink that whoever asked can wait for."""

    def __init__(self) -> None:
        self._there = threading.Event()
        self._vectors: Vectors | None = None
        self._error: HeadraceError | None = None
        self.told = 0

    def encoded(self, vectors: Vectors) -> None:
        """Take the vectors."""
        self._vectors, self.told = vectors, self.told + 1
        self._there.set()

    def failed(self, error: HeadraceError) -> None:
        """Take the error."""
        self._error, self.told = error, self.told + 1
        self._there.set()

    def wait(self) -> Vectors:
        """Return the vectors. Raises what the call failed with."""
        assert self._there.wait(20)
        if self._error is not None:
            raise self._error
        assert self._vectors is not None
        return self._vectors


def submit(
    encoder: Started,
    texts: Sequence[Sequence[int]],
    deadline_ns: int | None = None,
    priority: int = 0,
) -> tuple[EncodingCall, Outcome]:
    """Send texts; the call and its outcome to come."""
    outcome = Outcome()
    request = EncodingRequest(texts, priority=priority)
    call = EncodingCall(request, outcome, "stable", SYSTEM_CLOCK.monotonic_ns(), deadline_ns)
    encoder.text_encoder.encoder.submit(call)
    return call, outcome


def bare_outputs(folder: Path, texts: Sequence[Sequence[int]], output: str) -> list[Any]:
    """Run each text alone and without padding, by ONNX Runtime itself."""
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    outputs = []
    for text in texts:
        ids = np.array([text], np.int64)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        outputs.append(session.run([output], feeds | {"token_type_ids": np.zeros_like(ids)})[0][0])
    return outputs
