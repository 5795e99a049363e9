"""Runs a decoder on ONNX Runtime over rows of keys and values: the domain's `Decoder`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headrace.language.decoder_config import DecoderConfig
from headrace_inference.adapters.allocator import return_freed_memory
from headrace_inference.adapters.generation.kv_arena import KvArena, granule_tokens
from headrace_inference.adapters.runtime import session_options
from headrace_inference.adapters.runtime.ort_errors import RUNTIME_ERRORS, run_failed
from headrace_inference.domain.generation.batching.decoder import DecoderFacts
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.watchdog import RunHandle


class Runs(Protocol):
    """Runs of a session over an arena, as its graph keeps keys and values. They raise what it raises."""

    def decode(self, tokens: Sequence[int], lengths: Sequence[int], handle: RunHandle) -> Array:
        """Append one token to each of the first rows: their logits, in float32."""

    def extend(
        self, row: int, tokens: Sequence[int], length: int, handle: RunHandle, *, every: bool
    ) -> Array:
        """Append tokens to a row: the logits after the last, or after every one."""

    def forget(self) -> None:
        """Hold no memory: the arena's is about to move, or to go."""


class DecoderSession:
    """A decoder and its rows. Whoever opens it closes it, which lets the session go."""

    def __init__(self, config: DecoderConfig, arena: KvArena, runs: Runs) -> None:
        self.config = config
        self._arena = arena
        self._runs: Runs | None = runs
        self._facts = DecoderFacts(
            config.vocabulary_size,
            config.context_length,
            config.kv_bytes_per_token,
            granule_tokens(config.head_size, arena.dtype.itemsize),
        )

    @property
    def facts(self) -> DecoderFacts:
        """Return its measures."""
        return self._facts

    @property
    def rows(self) -> int:
        """Count its rows."""
        return self._arena.rows

    @property
    def row_tokens(self) -> int:
        """Return how many tokens each row has room for now."""
        return self._arena.tokens

    def grow(self, tokens: int, lengths: Sequence[int]) -> None:
        """Make room for so many tokens a row, at least. Raises OutOfMemory."""
        self._open_runs.forget()
        self._arena.grow(tokens, lengths)

    def decode(self, tokens: Sequence[int], lengths: Sequence[int], handle: RunHandle) -> Array:
        """Append one token to each of the first rows: their logits. Raises RunFailed."""
        try:
            return self._open_runs.decode(tokens, lengths, handle)
        except RUNTIME_ERRORS as error:
            raise run_failed(error) from error

    def extend(
        self,
        row: int,
        tokens: Sequence[int],
        length: int,
        handle: RunHandle,
        *,
        every: bool = False,
    ) -> Array:
        """Append tokens to a row: the logits after the last, or after every one. Raises RunFailed."""
        try:
            return self._open_runs.extend(row, tokens, length, handle, every=every)
        except RUNTIME_ERRORS as error:
            raise run_failed(error) from error

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first tokens of a row."""
        self._arena.copy(source, target, tokens)

    def move(self, source: int, target: int, tokens: int) -> None:
        """Copy the first tokens of a row and give its memory back."""
        self._arena.move(source, target, tokens)

    def free(self, row: int) -> None:
        """Give a row's memory back."""
        self._arena.free(row)

    def new_handle(self) -> RunHandle:
        """Make a handle that can end a run begun with it: its run options."""
        handle: RunHandle = session_options.run_options()
        return handle

    def rest(self) -> None:
        """Give all rows' memory back."""
        self._open_runs.forget()
        self._arena.release()
        return_freed_memory()

    def close(self) -> None:
        """Give everything back."""
        self.rest()
        self._runs = None  # with the only reference to the session
        return_freed_memory()

    @property
    def _open_runs(self) -> Runs:
        assert self._runs is not None, "closed"
        return self._runs
