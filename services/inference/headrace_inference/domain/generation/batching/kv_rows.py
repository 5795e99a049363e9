"""Gives sequences their rows of the KV cache, and keeps the prompts of those that left for others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from headrace_inference.domain.generation.batching.decoder import Decoder
from headrace_inference.domain.generation.batching.kv_cache import KvBooks
from headrace_inference.domain.generation.batching.prefix_cache import (
    LEAST_TOKENS,
    Match,
    PrefixCache,
    Tokens,
    best_match,
)
from headrace_inference.domain.generation.batching.sequences import CallProgress, SequenceState
from headrace_inference.domain.generation.batching.step_policy import LEAST_CHUNK
from headrace_inference.domain.scheduling.runner import OutOfMemory


class KvRows:
    """The rows of a decoder. Sequences that decode together are in the first ones.

    A row is a sequence's, or is kept with a prompt, or is free. Kept and free rows make room whenever
    a sequence needs it, so that no more is ever held than the budget.
    """

    def __init__(self, decoder: Decoder, budget_tokens: int, *, reuses: bool = True) -> None:
        self._decoder = decoder
        self._reuses = reuses
        self.books = KvBooks(budget_tokens, decoder.facts.granule_tokens, decoder.rows)
        self.prefixes = PrefixCache()
        self.owners: list[SequenceState | None] = [None] * decoder.rows

    @property
    def sequences(self) -> list[SequenceState]:
        """Return all that have a row."""
        return [one for one in self.owners if one is not None]

    def held_by(self, sequence: SequenceState) -> int:
        """Return how many tokens the row of a sequence has memory for."""
        return self.books.held[sequence.row]

    def enter(self, sequence: SequenceState) -> None:
        """Give a sequence a row with memory for its tokens and one more, and what is known of it.

        Raises OutOfMemory.
        """
        match = self._match(sequence)
        wanted = len(sequence.tokens) + 1
        row = self._row_for(match)
        if not self._reserve(row, wanted, match):
            row = self._kept_row(match)  # no room for a copy: the row itself, then
            if not self._reserve(row, wanted, match):
                raise OutOfMemory("no memory is left for the keys and values of the prompt")
        self._own(row, sequence)
        try:
            self._lengthen(wanted)
        except OutOfMemory:
            self.put_off(sequence)
            raise
        if match is not None:
            self._fill(sequence, match)

    def hold(self, sequence: SequenceState, tokens: int) -> None:
        """Let the row of a sequence have memory for so many tokens. Raises OutOfMemory."""
        if tokens > self.books.held[sequence.row]:
            self._reserve(sequence.row, tokens, None)
        self._lengthen(tokens)

    def leave(self, sequence: SequenceState) -> None:
        """Take the row of a sequence; its prompt is kept, if others may use it."""
        row, tokens = sequence.row, sequence.read_prompt
        sequence.row, self.owners[row] = -1, None
        if (
            self._reuses
            and len(tokens) >= LEAST_TOKENS
            and sequence.progress.call.request.reuses_prefix
        ):
            self.prefixes.keep(row, tokens)

    def put_off(self, sequence: SequenceState) -> None:
        """Take the row of a sequence that others need; it computes all again when it comes back."""
        row = sequence.row
        sequence.row, self.owners[row], sequence.length = -1, None, 0
        self._give_back(row)

    def arrange(self, decoding: Sequence[SequenceState]) -> list[SequenceState]:
        """Move sequences to the first rows, in which they decode together; return them by row."""
        count = len(decoding)
        movers = [one for one in decoding if one.row >= count]
        if movers:
            staying = {one.row for one in decoding}
            holes = (row for row in range(count) if row not in staying)
            for one, hole in zip(movers, holes, strict=False):
                self._vacate(hole, count)
                self._move(one.row, hole)
        return [one for one in self.owners[:count] if one is not None]

    def spare_row(self) -> int:
        """Return a row that nobody uses."""
        return self._free_row(None)

    def trim(self) -> None:
        """Give back the memory of free rows."""
        for row in self._free_rows():
            self._give_back(row)

    def rest(self) -> None:
        """Give back all memory; no sequence has a row."""
        self.prefixes = PrefixCache()
        self._decoder.rest()
        for row in range(len(self.owners)):
            self.books.give_back(row)

    def _match(self, sequence: SequenceState) -> Match | None:
        progress = sequence.progress
        request = progress.call.request
        if progress.prompt_logits is not None:  # a choice whose prompt another one has read
            match = best_match(progress.prompt, self._known(progress), sequence.prompt_length)
            if match is not None and match.tokens == sequence.prompt_length:
                return match
        most = sequence.prompt_length - LEAST_CHUNK
        if request.prompt_logprobs is not None:
            most = min(most, request.scored_from - 1)
        if not self._reuses or not request.reuses_prefix or most < 1:
            return None
        return best_match(progress.prompt, self._known(progress), most)

    def _known(self, progress: CallProgress) -> Iterator[tuple[int, Tokens]]:
        """Yield the rows that a call may take from: its own, and of others those that may be shared."""
        for one in self.sequences:
            if one.progress is progress or one.progress.call.request.reuses_prefix:
                yield one.row, one.read_prompt
        yield from self.prefixes.rows

    def _row_for(self, match: Match | None) -> int:
        """Return the row for a prompt: that of its match, if this has nothing that others might want."""
        is_taken_over = match is not None and match.whole and match.row in self.prefixes
        return match.row if match is not None and is_taken_over else self._free_row(match)

    def _kept_row(self, match: Match | None) -> int:
        is_kept = match is not None and match.row in self.prefixes
        return match.row if match is not None and is_kept else self._free_row(match)

    def _fill(self, sequence: SequenceState, match: Match) -> None:
        if match.row != sequence.row:
            self._decoder.copy(match.row, sequence.row, match.tokens)
            if match.row in self.prefixes:
                self.prefixes.use(match.row)
        sequence.length = match.tokens

    def _own(self, row: int, sequence: SequenceState) -> None:
        if row in self.prefixes:
            self.prefixes.drop(row)
        self.owners[row] = sequence
        sequence.row = row

    def _free_rows(self) -> Iterator[int]:
        prefixes = self.prefixes
        return (row for row, one in enumerate(self.owners) if one is None and row not in prefixes)

    def _free_row(self, match: Match | None) -> int:
        """Return a free row, after making one free if there is none; not that of the match."""
        row = next(self._free_rows(), None)
        while row is None:
            self._drop_oldest(match)
            row = next(self._free_rows(), None)
        return row

    def _drop_oldest(self, match: Match | None) -> bool:
        """Keep the prompt no more that was of no use for the longest time. False: there is none."""
        kept = [row for row, _ in self.prefixes.rows if match is None or row != match.row]
        if kept:
            self.prefixes.drop(kept[0])
        return bool(kept)

    def _reserve(self, row: int, tokens: int, match: Match | None) -> bool:
        """Let a row hold so many tokens, at the cost of free rows and kept ones but that of the match."""
        books = self.books
        while books.need(row, tokens) > books.room:
            held = [one for one in self._free_rows() if books.held[one] and one != row]
            if held:
                self._give_back(held[-1])
            elif not self._drop_oldest(match):
                return False
        books.hold(row, tokens)
        return True

    def _give_back(self, row: int) -> None:
        if self.books.held[row]:
            self._decoder.free(row)
            self.books.give_back(row)

    def _lengthen(self, tokens: int) -> None:
        """Make all rows longer, if they have no room for so many tokens."""
        if tokens > self._decoder.row_tokens:
            self._decoder.grow(tokens, self._lengths())
            for row in self._free_rows():
                self.books.give_back(row)

    def _lengths(self) -> list[int]:
        lengths = np.zeros(len(self.owners), np.int64)
        for row, tokens in self.prefixes.rows:
            lengths[row] = len(tokens)
        for one in self.sequences:
            lengths[one.row] = one.length
        return [int(length) for length in lengths]

    def _vacate(self, row: int, first: int) -> None:
        """Empty a row: what is in it goes to a free one from `first` on, or is kept no more."""
        owner = self.owners[row]
        if owner is None and row not in self.prefixes:
            return
        target = next((one for one in self._free_rows() if one >= first), None)
        while target is None and self._drop_oldest(None):
            target = next((one for one in self._free_rows() if one >= first), None)
        if target is not None and (owner is not None or row in self.prefixes):
            self._move(row, target)

    def _move(self, source: int, target: int) -> None:
        owner, books = self.owners[source], self.books
        tokens = self.prefixes.length(source) if owner is None else owner.length
        if books.need(target, books.held[source]) <= books.room:
            self._decoder.copy(source, target, tokens)
            books.hold(target, books.held[source])
        else:
            self._decoder.move(source, target, tokens)
            books.move(source, target)
        self.owners[source], self.owners[target] = None, owner
        if owner is None:
            self.prefixes.move(source, target)
        else:
            owner.row = target
