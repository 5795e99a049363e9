"""Runs decoders whose graphs join past and new keys and values into new tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.language.decoder_config import DecoderConfig
from headrace_inference.adapters.generation.element_dtypes import (
    dtype_of,
    float32,
    logits_counts,
)
from headrace_inference.adapters.generation.kv_arena import KvArena
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.watchdog import RunHandle


class CopiedRuns:
    """Gives each run a copy of what rows hold, and takes the new tokens' keys and values into the rows.

    Slower, and the same. Rows that decode together begin with so much padding that all end at the same
    place, which keeps distances within them right, so that windows of attention are. Where the graph takes
    no positions or no mask only rows of equal length share a run: it would count padding.
    """

    def __init__(self, session: Any, config: DecoderConfig, arena: KvArena) -> None:
        ends = config.ends
        self._session = session
        self._arena = arena
        self._ends = ends
        self._past = (*ends.past_keys, *ends.past_values)
        self._outputs = [ends.logits, *ends.present_keys, *ends.present_values]
        self._ids_dtype = dtype_of(ends.ids_datatype)
        self._keep_last, self._keep_all = logits_counts(session, ends.logits_to_keep)
        self._pads = bool(ends.position_ids and ends.attention_mask)

    def forget(self) -> None:
        """Hold nothing: it never does between runs."""

    def decode(self, tokens: Sequence[int], lengths: Sequence[int], handle: RunHandle) -> Array:
        """Append one token to each of the first rows: their logits, in float32."""
        if self._pads or len(set(lengths)) == 1:
            return self._decode_rows(list(range(len(tokens))), tokens, lengths, handle)
        logits: list[Array] = [np.empty(0)] * len(tokens)
        for length in sorted(set(lengths)):
            rows = [row for row, each in enumerate(lengths) if each == length]
            found = self._decode_rows(
                rows, [tokens[row] for row in rows], [length] * len(rows), handle
            )
            for row, each in zip(rows, found, strict=True):
                logits[row] = each
        return np.stack(logits)

    def extend(
        self, row: int, tokens: Sequence[int], length: int, handle: RunHandle, *, every: bool
    ) -> Array:
        """Append tokens to a row: the logits after the last, or after every one."""
        after = length + len(tokens)
        ids = np.array([tokens], self._ids_dtype)
        positions = np.arange(length, after, dtype=self._ids_dtype)[None]
        mask = np.ones((1, after), self._ids_dtype)
        feeds = self._feeds(ids, positions, mask, every=every)
        for name, tensor in zip(self._past, self._arena.tensors, strict=True):
            feeds[name] = np.ascontiguousarray(tensor[row : row + 1, :, :length])
        logits, *present = self._session.run(self._outputs, feeds, handle)
        for tensor, new in zip(self._arena.tensors, present, strict=True):
            tensor[row, :, length:after] = new[0, :, length:after]
        return float32(logits[0] if every else logits[0, -1:])

    def _decode_rows(
        self,
        rows: Sequence[int],
        tokens: Sequence[int],
        lengths: Sequence[int],
        handle: RunHandle,
    ) -> Array:
        longest = max(lengths)
        ids = np.array(tokens, self._ids_dtype).reshape(-1, 1)
        positions = np.array(lengths, self._ids_dtype).reshape(-1, 1)
        starts = longest - positions
        mask = (np.arange(longest + 1, dtype=self._ids_dtype) >= starts).astype(self._ids_dtype)
        feeds = self._feeds(ids, positions, mask, every=False)
        for name, tensor in zip(self._past, self._arena.tensors, strict=True):
            feeds[name] = self._ending_together(tensor, rows, lengths, longest)
        logits, *present = self._session.run(self._outputs, feeds, handle)
        for tensor, new in zip(self._arena.tensors, present, strict=True):
            for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
                tensor[row, :, length] = new[place, :, longest]
        return float32(logits[:, -1])

    def _ending_together(
        self, tensor: Array, rows: Sequence[int], lengths: Sequence[int], longest: int
    ) -> Array:
        arena = self._arena
        past = np.zeros((len(rows), arena.heads, longest, arena.size), arena.dtype)
        for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            past[place, :, longest - length :] = tensor[row, :, :length]
        return past

    def _feeds(self, ids: Array, positions: Array, mask: Array, *, every: bool) -> dict[str, Array]:
        ends = self._ends
        feeds = {ends.input_ids: ids}
        if ends.position_ids:
            feeds[ends.position_ids] = positions
        if ends.attention_mask:
            feeds[ends.attention_mask] = mask
        if ends.use_cache_branch:
            feeds[ends.use_cache_branch] = np.array([True])
        if ends.logits_to_keep:
            feeds[ends.logits_to_keep] = self._keep_all if every else self._keep_last
        return feeds
