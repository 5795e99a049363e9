"""Runs decoders that write new keys and values into the buffer that they read the earlier ones from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnxruntime import OrtValue

from headrace.language.decoder_config import DecoderConfig
from headrace_inference.adapters.generation.element_dtypes import (
    dtype_of,
    float32,
    logits_counts,
)
from headrace_inference.adapters.generation.kv_arena import KvArena
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.watchdog import RunHandle

_CPU = ("cpu", 0)


class SharedBufferRuns:
    """Reads and writes the arena's rows in place, as GroupQueryAttention can.

    Past and present are bound to the same memory, once for every stretch of rows. Rows may be longer than
    what they hold: the attention mask says how long each is.
    """

    def __init__(self, session: Any, config: DecoderConfig, arena: KvArena) -> None:
        self._session = session
        self._arena = arena
        self._ends = config.ends
        self._width = config.vocabulary_size
        self._past = (*config.ends.past_keys, *config.ends.past_values)
        self._present = (*config.ends.present_keys, *config.ends.present_values)
        self._ids_dtype = dtype_of(config.ends.ids_datatype)
        self._logits_dtype = dtype_of(config.logits_datatype)
        # As OrtValues: an input that may be left out can be bound as nothing else.
        self._keep_last, self._keep_all = (
            OrtValue.ortvalue_from_numpy(count)
            for count in logits_counts(session, config.ends.logits_to_keep)
        )
        self._bindings: dict[tuple[int, int], Any] = {}
        self._columns = np.arange(0)
        self._logits = self._empty_logits(0)

    def forget(self) -> None:
        """Hold no memory of the arena's, and little of one's own."""
        self._bindings.clear()
        self._logits = self._empty_logits(0)

    def decode(self, tokens: Sequence[int], lengths: Sequence[int], handle: RunHandle) -> Array:
        """Append one token to each of the first rows: their logits, in float32."""
        count = len(tokens)
        binding = self._binding(0, count)
        ids = np.array(tokens, self._ids_dtype).reshape(count, 1)
        positions = np.array(lengths, self._ids_dtype).reshape(count, 1)
        mask = self._mask(positions)
        self._bind_inputs(binding, ids, positions, mask)
        logits = self._logits_of(count)
        self._bind_logits(binding, logits)
        self._session.run_with_iobinding(binding, handle)
        return float32(logits[:, 0])

    def extend(
        self, row: int, tokens: Sequence[int], length: int, handle: RunHandle, *, every: bool
    ) -> Array:
        """Append tokens to a row: the logits after the last, or after every one."""
        binding = self._binding(row, 1)
        after = length + len(tokens)
        ids = np.array([tokens], self._ids_dtype)
        positions = np.arange(length, after, dtype=self._ids_dtype)[None]
        mask = np.ones((1, after), self._ids_dtype)
        self._bind_inputs(binding, ids, positions, mask)
        if self._ends.logits_to_keep and not every:
            logits = self._logits_of(1)
            self._bind_logits(binding, logits)
            self._session.run_with_iobinding(binding, handle)
            return float32(logits[0])
        return self._run_unbounded(binding, handle, every=every)

    def _run_unbounded(self, binding: Any, handle: RunHandle, *, every: bool) -> Array:
        """Run with the logits of as many tokens as the graph gives; nothing keeps them."""
        if self._ends.logits_to_keep:
            binding.bind_ortvalue_input(self._ends.logits_to_keep, self._keep_all)
        binding.bind_output(self._ends.logits, *_CPU)
        self._session.run_with_iobinding(binding, handle)
        logits = binding.get_outputs()[0].numpy()[0]
        kept = np.array(logits if every else logits[-1:], np.float32)
        self._bind_logits(binding, self._logits_of(1))  # lets go of them
        return kept

    def _bind_inputs(self, binding: Any, ids: Array, positions: Array, mask: Array) -> None:
        ends = self._ends
        _bind(binding, ends.input_ids, ids)
        if ends.position_ids:
            _bind(binding, ends.position_ids, positions)
        if ends.attention_mask:
            _bind(binding, ends.attention_mask, mask)

    def _mask(self, positions: Array) -> Array:
        """Return a row of ones for each sequence, up to its new token."""
        widest = int(positions.max()) + 1
        if len(self._columns) < widest:
            self._columns = np.arange(self._arena.tokens, dtype=self._ids_dtype)
        seen: Array = self._columns[:widest] <= positions
        return seen.astype(self._ids_dtype)

    def _binding(self, first: int, count: int) -> Any:
        """Return the binding of a stretch of rows; its first output are the logits."""
        binding = self._bindings.get((first, count))
        if binding is None:
            binding = self._bindings[first, count] = self._session.io_binding()
            self._bind_logits(binding, self._logits_of(count))
            if self._ends.logits_to_keep:
                binding.bind_ortvalue_input(self._ends.logits_to_keep, self._keep_last)
            self._bind_rows(binding, first, count)
        return binding

    def _bind_rows(self, binding: Any, first: int, count: int) -> None:
        arena = self._arena
        shape = [count, arena.heads, arena.tokens, arena.size]
        for past, present, tensor in zip(self._past, self._present, arena.tensors, strict=True):
            address = tensor.ctypes.data + first * tensor.strides[0]
            binding.bind_input(past, *_CPU, arena.dtype, shape, address)
            binding.bind_output(present, *_CPU, arena.dtype, shape, address)

    def _logits_of(self, count: int) -> Array:
        if len(self._logits) < count:
            self._logits = self._empty_logits(count)
        return self._logits[:count]

    def _empty_logits(self, count: int) -> Array:
        return np.empty((count, 1, self._width), self._logits_dtype)

    def _bind_logits(self, binding: Any, logits: Array) -> None:
        if self._ends.logits_to_keep:
            binding.bind_ortvalue_input(self._ends.logits_to_keep, self._keep_last)
        shape, address = list(logits.shape), logits.ctypes.data
        binding.bind_output(self._ends.logits, *_CPU, self._logits_dtype, shape, address)


def _bind(binding: Any, name: str, array: Array) -> None:
    """Bind an array in place; whoever calls holds it until the run is over."""
    binding.bind_input(name, *_CPU, array.dtype, list(array.shape), array.ctypes.data)
