"""Runs an encoder's graph on ONNX Runtime: the domain's `TextRunner`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.datatypes import NUMPY_DTYPES
from headrace.language.encoder_files import EncoderFiles
from headrace.language.encoder_graph import MASK, POSITIONS, TOKENS, TYPES
from headrace_inference.adapters.runtime import session_options
from headrace_inference.adapters.runtime.ort_errors import RUNTIME_ERRORS, run_failed
from headrace_inference.domain.encoding.text_runner import TokenBatch
from headrace_inference.domain.scheduling.watchdog import RunHandle


class GraphSession:
    """An open session and the one output that is asked of it."""

    def __init__(self, session: Any, files: EncoderFiles) -> None:
        self._session: Any = session
        self._outputs = [files.output]
        self._first_position = files.first_position
        self._dtypes = {name: NUMPY_DTYPES[kind] for name, kind in files.graph.inputs.items()}

    def new_handle(self) -> RunHandle:
        """Return what ends a run that is begun with it: its run options."""
        handle: RunHandle = session_options.run_options()
        return handle

    def run(self, batch: TokenBatch, handle: RunHandle) -> npt.NDArray[np.generic]:
        """Return the output for a batch. Raises RunFailed."""
        feeds = {
            name: self._input(name, batch).astype(dtype, copy=False)
            for name, dtype in self._dtypes.items()
        }
        try:
            output: npt.NDArray[np.generic] = self._session.run(self._outputs, feeds, handle)[0]
        except RUNTIME_ERRORS as error:
            raise run_failed(error) from error
        return output

    def close(self) -> None:
        """Give the memory back. Called once, when no run is under way."""
        self._session = None

    def _input(self, name: str, batch: TokenBatch) -> npt.NDArray[np.int64]:
        if name == TOKENS:
            return batch.token_ids
        rows, length = batch.token_ids.shape
        if name == POSITIONS:
            positions = np.arange(self._first_position, self._first_position + length)
            return np.broadcast_to(positions, (rows, length)).copy()
        if name == TYPES:
            return (
                np.zeros((rows, length), np.int64)
                if batch.token_types is None
                else batch.token_types
            )
        assert name == MASK
        own = np.asarray(batch.lengths)[:, np.newaxis]
        return (np.arange(length) < own).astype(np.int64)
