"""The books of the texts that wait for a run: by length, in the order of their turns. None of it is locked.

Texts of one level take turns by tokens: a call's next text comes after as many tokens as the call had
before it. So one call of a thousand texts and many calls of one text share the version evenly.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from headrace_inference.domain.encoding.batch_policy import Choice, Head
from headrace_inference.domain.encoding.requests import EncodingCall, Vectors


class PendingCall:
    """A call of which texts wait or run, and the vectors that are there already."""

    __slots__ = (
        "call",
        "ended",
        "left",
        "lengths",
        "level",
        "vectors",
        "waiting",
        "waiting_tokens",
    )

    def __init__(self, call: EncodingCall, level: int, lengths: Sequence[int]) -> None:
        """`lengths` are those to which its texts are padded."""
        self.call = call
        self.level = level
        self.lengths = lengths
        self.left = len(lengths)
        """Texts without a vector."""
        self.waiting = self.waiting_tokens = 0
        """Texts that no run has taken yet, and their tokens with padding."""
        self.vectors: Vectors | None = None
        self.ended = False
        """Whether its sink was told how it ended."""

    def take(self, texts: Sequence[int], vectors: Vectors) -> bool:
        """Keep the vectors of some texts. True: these were the last."""
        if self.vectors is None:
            self.vectors = np.empty((len(self.lengths), vectors.shape[1]), np.float32)
        self.vectors[list(texts)] = vectors
        self.left -= len(texts)
        return not self.left


Text = tuple[PendingCall, int]
"""A text: its call, and its place in it."""

_Entry = tuple[int, float, int, PendingCall, int]


class WaitingTexts:
    """The texts that wait. Those of a call that has ended are passed over when their turn comes."""

    def __init__(self) -> None:
        self.tokens = 0
        """How many tokens wait, padding counted."""
        self.texts = 0
        self.calls: set[PendingCall] = set()
        """Those of which a text waits."""
        self._heaps: dict[int, list[_Entry]] = {}
        self._served: dict[int, float] = {}
        """By level, the turn of the text that was taken last."""
        self._numbers = itertools.count()
        self._ended_texts = 0

    def put(self, pending: PendingCall) -> None:
        """Have all texts of a call wait."""
        turn = self._served.get(pending.level, 0.0)
        for text, length in enumerate(pending.lengths):
            entry = (pending.level, turn, next(self._numbers), pending, text)
            heapq.heappush(self._heaps.setdefault(length, []), entry)
            turn += length
        pending.waiting, pending.waiting_tokens = len(pending.lengths), sum(pending.lengths)
        self.tokens += pending.waiting_tokens
        self.texts += pending.waiting
        self.calls.add(pending)

    def heads(self) -> Iterator[Head]:
        """Yield the next text of each length."""
        for length, heap in list(self._heaps.items()):
            self._drop_ended(heap)
            if heap:
                yield Head(heap[0][0], heap[0][1], length, len(heap))
            else:
                del self._heaps[length]

    def take(self, choice: Choice) -> list[Text]:
        """Take texts out, in the order of their turns; fewer where calls have ended."""
        taken: list[Text] = []
        for length, texts in choice.texts.items():
            taken += self._take_of(length, texts)
        return taken

    def _take_of(self, length: int, texts: int) -> Iterator[Text]:
        heap = self._heaps[length]
        while heap and texts:
            level, turn, _, pending, text = heapq.heappop(heap)
            if pending.ended:
                self._ended_texts -= 1
                continue
            texts -= 1
            self._served[level] = max(turn, self._served.get(level, 0.0))
            self._leave(pending, length, 1)
            yield pending, text

    def drop(self, pending: PendingCall) -> None:
        """Let none of a call's texts wait any more; the call has ended."""
        self._ended_texts += pending.waiting
        self._leave(pending, pending.waiting_tokens, pending.waiting)
        if self._ended_texts > self.texts + 1024:
            self._sweep()

    def put_behind(self, pending: PendingCall, levels: int) -> None:
        """Have a call wait behind all of so many levels, if none of its texts was taken yet."""
        if pending.level > levels or pending.waiting != len(pending.lengths):
            return
        for length in set(pending.lengths):
            kept = [entry for entry in self._heaps[length] if entry[3] is not pending]
            heapq.heapify(kept)
            self._heaps[length] = kept
        self._leave(pending, pending.waiting_tokens, pending.waiting)
        pending.level += levels
        self.put(pending)

    def _leave(self, pending: PendingCall, tokens: int, texts: int) -> None:
        self.tokens -= tokens
        self.texts -= texts
        pending.waiting -= texts
        pending.waiting_tokens -= tokens
        if not pending.waiting:
            self.calls.discard(pending)

    def _drop_ended(self, heap: list[_Entry]) -> None:
        while heap and heap[0][3].ended:
            heapq.heappop(heap)
            self._ended_texts -= 1

    def _sweep(self) -> None:
        """Keep no more of those that ended than of those that wait: nobody's turn may ever come."""
        for length, heap in self._heaps.items():
            kept = [entry for entry in heap if not entry[3].ended]
            heapq.heapify(kept)
            self._heaps[length] = kept
        self._ended_texts = 0
