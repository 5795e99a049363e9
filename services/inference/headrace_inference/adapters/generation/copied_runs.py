"""Runs decoders whose graphs join past and new keys and values into new tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Joined:
    """What a step gave: the keys and values of rows which have these lengths after it."""

    rows: list[int]
    lengths: list[int]
    changes: int
    present: list[Array]

    def is_of(self, rows: Sequence[int], lengths: Sequence[int], changes: int) -> bool:
        return (
            self.changes == changes
            and self.rows == list(rows)
            and self.lengths == list(lengths)
            and self.present[0].shape[2] < 2 * max(lengths)
        )


class CopiedRuns:
    """Gives each run a copy of what rows hold, and takes the new tokens' keys and values into the rows.

    Slower, and the same. Rows that decode together begin with so much padding that all end at the same
    place, which keeps distances within them right, so that windows of attention are. Where the graph takes
    no positions or no mask only rows of equal length share a run: it would count padding.

    What a step gave is what the next one takes, as long as the same rows decode: that holds their keys and
    values twice.
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
        self._joined: _Joined | None = None
        self._pads = bool(ends.position_ids and ends.attention_mask)

    def forget(self) -> None:
        """Hold nothing."""
        self._joined = None

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
        self._arena.changes += 1
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
        past = self._past_of(rows, lengths)
        width = past[0].shape[2]
        ids = np.array(tokens, self._ids_dtype).reshape(-1, 1)
        positions = np.array(lengths, self._ids_dtype).reshape(-1, 1)
        starts = width - positions
        mask = (np.arange(width + 1, dtype=self._ids_dtype) >= starts).astype(self._ids_dtype)
        feeds = self._feeds(ids, positions, mask, every=False)
        feeds |= dict(zip(self._past, past, strict=True))
        logits, *present = self._session.run(self._outputs, feeds, handle)
        for tensor, new in zip(self._arena.tensors, present, strict=True):
            for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
                tensor[row, :, length] = new[place, :, width]
        after = [length + 1 for length in lengths]
        self._joined = _Joined(list(rows), after, self._arena.changes, present)
        return float32(logits[:, -1])

    def _past_of(self, rows: Sequence[int], lengths: Sequence[int]) -> list[Array]:
        """Return what the last step gave, if these rows have that and nothing else; a copy, if not."""
        joined, self._joined = self._joined, None
        if joined is not None and joined.is_of(rows, lengths, self._arena.changes):
            return joined.present
        longest = max(lengths)
        return [
            self._ending_together(tensor, rows, lengths, longest) for tensor in self._arena.tensors
        ]

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
