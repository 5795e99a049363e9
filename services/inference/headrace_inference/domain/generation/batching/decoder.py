"""Declares what the engine needs of an open decoder: rows of keys and values, and steps over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.watchdog import RunHandle


@dataclass(frozen=True, slots=True)
class DecoderFacts:
    """The measures of an open decoder."""

    vocabulary_size: int
    """The width of its logits."""
    context_length: int
    kv_bytes_per_token: int
    granule_tokens: int = 1
    """Memory of a row is taken for so many tokens at a time."""


class Decoder(Protocol):
    """An open decoder. Each row keeps one sequence; one thread at a time calls it.

    Logits are read before the next call: they may be a view of what that one overwrites. A run that fails
    or is ended leaves the tokens that rows had before.
    """

    @property
    def facts(self) -> DecoderFacts:
        """Return its measures."""

    @property
    def rows(self) -> int:
        """Count its rows."""

    @property
    def row_tokens(self) -> int:
        """Return how many tokens each row has room for now."""

    def grow(self, tokens: int, lengths: Sequence[int]) -> None:
        """Make room for so many tokens a row, at least; each keeps its first `lengths[row]`.

        Raises OutOfMemory, and has the room that it had.
        """

    def decode(self, tokens: Sequence[int], lengths: Sequence[int], handle: RunHandle) -> Array:
        """Append one token to each of the first rows, which have `lengths`: their logits, in float32.

        Raises RunFailed.
        """

    def extend(
        self,
        row: int,
        tokens: Sequence[int],
        length: int,
        handle: RunHandle,
        *,
        every: bool = False,
    ) -> Array:
        """Append tokens to a row of this length: the logits after the last, or after `every` one.

        Raises RunFailed.
        """

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first tokens of a row."""

    def move(self, source: int, target: int, tokens: int) -> None:
        """Copy the first tokens of a row and give its memory back, hardly ever holding both."""

    def free(self, row: int) -> None:
        """Give a row's memory back."""

    def new_handle(self) -> RunHandle:
        """Make a handle that can end a run begun with it."""

    def rest(self) -> None:
        """Give all rows' memory back, and what runs took beside the weights."""

    def close(self) -> None:
        """Give everything back. Called once, when no run is under way."""
