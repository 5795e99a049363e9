"""Has a decoder write a few tokens, each the most likely one, by a loop that is as plain as can be."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace import errors
from headrace.datatypes import NUMPY_DTYPES
from headrace.language.decoder_config import DecoderConfig
from headrace.onnx_runtime.errors import clean_message
from headrace_registry.adapters.batch_invariance.trial import RUN_ERRORS

Array = npt.NDArray[Any]

WANTED = 10
_SILENT = 4
_MEMORY_SIGNS = ("allocate", "bad_alloc")


def write_tokens(
    session: Any, config: DecoderConfig, prompt: Sequence[int], deadline: float
) -> list[int]:
    """Return ten tokens that follow a prompt; fewer where time is over, but one at least.

    Ends count as tokens. Raises InvalidArgument (GENERATION_FAILED), MemoryError.
    """
    loop = _GreedyLoop(session, config)
    made = [loop.next(list(prompt))]
    while len(made) < WANTED and time.monotonic() < deadline:
        made.append(loop.next(made[-1:]))
    return made


class _GreedyLoop:
    """One sequence, whose keys and values are handed back after each run."""

    def __init__(self, session: Any, config: DecoderConfig) -> None:
        self._session = session
        self._config = config
        self._ids_dtype = NUMPY_DTYPES[config.ends.ids_datatype]
        taken = {arg.name: len(arg.shape) for arg in session.get_inputs()}
        self._taken = taken.keys()  # an input with a default is none of them
        self._keep_rank = taken.get(config.ends.logits_to_keep, 0)
        self._seen = 0
        shape = (1, config.kv_heads, 0, config.head_size)
        empty = np.zeros(shape, NUMPY_DTYPES[config.kv_datatype])
        ends = config.ends
        self._past = dict.fromkeys((*ends.past_keys, *ends.past_values), empty)

    def next(self, tokens: Sequence[int]) -> int:
        """Return the most likely token after these."""
        ends = self._config.ends
        present = (*ends.present_keys, *ends.present_values)
        logits, *kept = self._run([ends.logits, *present], self._inputs(tokens))
        self._seen += len(tokens)
        self._check_kept(present[0], kept[0])
        self._past = dict(zip(self._past, kept, strict=True))
        return self._most_likely(logits)

    def _inputs(self, tokens: Sequence[int]) -> Mapping[str, Array]:
        ends, total = self._config.ends, self._seen + len(tokens)
        inputs = {
            ends.input_ids: np.array([tokens], self._ids_dtype),
            ends.attention_mask: np.ones((1, total), self._ids_dtype),
            ends.position_ids: np.arange(self._seen, total, dtype=self._ids_dtype)[None],
            ends.use_cache_branch: np.ones(1, np.bool_),
            ends.logits_to_keep: np.ones((1,) * self._keep_rank, np.int64),
            **self._past,
        }
        return {name: value for name, value in inputs.items() if name in self._taken}

    def _run(self, outputs: list[str], inputs: Mapping[str, Array]) -> list[Array]:
        from onnxruntime import RunOptions

        options = RunOptions()
        options.log_severity_level = _SILENT
        try:
            found: list[Array] = self._session.run(outputs, inputs, options)
        except RUN_ERRORS as error:
            said = clean_message(str(error))
            if isinstance(error, MemoryError) or any(sign in said for sign in _MEMORY_SIGNS):
                raise MemoryError(said) from error
            raise _failed(f"its graph does not run on a prompt: {said}") from error
        return found

    def _check_kept(self, name: str, kept: Array) -> None:
        config = self._config
        expected = (1, config.kv_heads, self._seen, config.head_size)
        if kept.shape != expected:
            raise _failed(
                f"{name!r} has the shape {list(kept.shape)} after {self._seen} tokens; it has to be "
                f"{list(expected)}"
            )

    def _most_likely(self, logits: Array) -> int:
        if logits.ndim != 3 or logits.shape[-1] != self._config.vocabulary_size:
            raise _failed(
                f"its logits have the shape {list(logits.shape)}; the last size has to be "
                f"{self._config.vocabulary_size}"
            )
        last = logits[0, -1].astype(np.float32)
        if np.isnan(last).any():
            raise _failed("its logits are not numbers (NaN)")
        return int(last.argmax())


def _failed(what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "GENERATION_FAILED", f"the language model is not taken, for it wrote no text: {what}"
    )
