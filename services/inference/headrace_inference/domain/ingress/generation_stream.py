"""Brings what an engine's thread generates to those who read it on an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from headrace.errors import HeadraceError, ResourceExhausted
from headrace_inference.domain.generation.requests import (
    GeneratedChunk,
    GenerationCall,
    TokenScore,
    Usage,
)

MAX_UNREAD_TOKENS = 256
"""Of one call: its sequences pause while so many wait to be read, which is some 1 kB of text."""

READER_SECONDS = 60.0
"""A caller that reads nothing for so long, while its sequences pause, loses its place."""


@dataclass(frozen=True, slots=True)
class PromptScores:
    """The scores of the prompt's tokens, from the first that is scored on."""

    scores: Sequence[TokenScore]


@dataclass(frozen=True, slots=True)
class _End:
    usage: Usage
    error: HeadraceError | None = None


_Item = PromptScores | Sequence[GeneratedChunk] | _End


class LoopOutbox:
    """Takes what engines generate to the loop that it was made on: all of a step in one trip."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._items: deque[tuple[GenerationStream, _Item]] = deque()
        self._is_woken = False

    def put(self, stream: GenerationStream, item: _Item) -> None:
        """Have a stream take something; from any thread."""
        self._items.append((stream, item))
        if not self._is_woken:
            self._is_woken = True
            with suppress(RuntimeError):  # the loop has ended, and the process is about to
                self._loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        self._is_woken = False  # first: what comes from now on wakes the loop again
        while self._items:
            stream, item = self._items.popleft()
            stream.take(item)


class GenerationStream:
    """The pieces of one generation, as they come; an async iterator, and the engine's sink.

    It yields PromptScores if they were asked for, then what is new of the choices, and ends after the last;
    `usage` is there then. It raises HeadraceError where the generation fails, after what came before that.
    """

    def __init__(
        self,
        outbox: LoopOutbox,
        failed: Callable[[HeadraceError], None],
        reader_seconds: float = READER_SECONDS,
    ) -> None:
        self._outbox = outbox
        self._loop = asyncio.get_running_loop()
        self._tell_failed = failed
        self._reader_seconds = reader_seconds
        self._items: deque[PromptScores | Sequence[GeneratedChunk]] = deque()
        self._end: _End | None = None
        self._reader: asyncio.Future[None] | None = None
        self._too_slow: asyncio.TimerHandle | None = None
        self._delivered = 0
        """Tokens that were delivered; the engine's thread counts them."""
        self._taken = 0
        """Tokens that were read; the event loop counts them."""
        self.call: GenerationCall | None = None
        """What the engine runs; set, with `wake`, by whoever submits it."""
        self.wake: Callable[[], None] = lambda: None
        """Has the engine look again."""
        self.ended_ns = 0

    @property
    def usage(self) -> Usage:
        """Return the tokens of it; after its end only."""
        assert self._end is not None, "it goes on"
        return self._end.usage

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing of it runs any more."""
        return self._end is not None

    # What follows is called on the engine's thread.

    @property
    def is_full(self) -> bool:
        """Tell whether so much is unread that its sequences should pause."""
        return self._delivered - self._taken >= MAX_UNREAD_TOKENS

    def prompt_scored(self, scores: Sequence[TokenScore]) -> None:
        """Take the scores of the prompt."""
        self._outbox.put(self, PromptScores(scores))

    def deliver(self, chunks: Sequence[GeneratedChunk]) -> None:
        """Take what is new."""
        self._delivered += sum([len(chunk.tokens) for chunk in chunks])
        self._outbox.put(self, chunks)

    def ended(self, usage: Usage) -> None:
        """Take the end."""
        self._outbox.put(self, _End(usage))

    def failed(self, error: HeadraceError, usage: Usage) -> None:
        """Take the error that ends it."""
        self._outbox.put(self, _End(usage, error))

    # What follows belongs to the event loop.

    def take(self, item: _Item) -> None:
        """Keep it until it is read."""
        if self._end is not None:
            return
        if isinstance(item, _End):
            self._end = item
        else:
            self._items.append(item)
            if self.is_full and self._too_slow is None:
                self._too_slow = self._loop.call_later(self._reader_seconds, self._give_up)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def __aiter__(self) -> GenerationStream:
        """Itself."""
        return self

    async def __anext__(self) -> PromptScores | Sequence[GeneratedChunk]:
        """All that is new: one piece of scores, or all chunks that are there. Raises HeadraceError."""
        while not self._items:
            if self._end is not None:
                raise self._told_end()
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        first = self._items.popleft()
        if isinstance(first, PromptScores):
            return first
        return self._read(first)

    async def aclose(self) -> None:
        """Have nothing more generated."""
        self.cancel()

    def cancel(self) -> None:
        """The same, at once; its place is free at the engine's next step."""
        if self._too_slow is not None:
            self._too_slow.cancel()
        if self._end is None and self.call is not None and not self.call.cancelled:
            self.call.cancelled = True
            self.wake()

    def _read(self, first: Sequence[GeneratedChunk]) -> Sequence[GeneratedChunk]:
        """All chunks that wait, these first."""
        chunks = first
        if self._items:
            chunks = [*first]
            while self._items:
                more = self._items.popleft()
                assert not isinstance(more, PromptScores), "they come first"
                chunks.extend(more)
        was_full = self.is_full
        self._taken += sum([len(chunk.tokens) for chunk in chunks])
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None
        if was_full:
            self.wake()
        return chunks

    def _told_end(self) -> HeadraceError | StopAsyncIteration:
        assert self._end is not None
        error = self._end.error
        if error is None:
            return StopAsyncIteration()
        self._tell_failed(error)
        return error

    def end_by(self, error: HeadraceError) -> None:
        """Have nothing more generated, and tell the reader why, at once."""
        self.cancel()
        self._items.clear()
        prompt_tokens = len(self.call.request.prompt) if self.call is not None else 0
        self.take(_End(Usage(prompt_tokens, self._delivered), error))

    def _give_up(self) -> None:
        self.end_by(reader_too_slow(self._reader_seconds))


class Endable(Protocol):
    """Something that is generated for somebody."""

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing of it runs any more."""

    def end_by(self, error: HeadraceError) -> None:
        """Have nothing more generated, and tell whoever waits why."""


class OpenStreams:
    """The streams of callers of an event loop."""

    def __init__(self) -> None:
        self._streams: set[Endable] = set()

    def __len__(self) -> int:
        """Count them."""
        return len(self._streams)

    def add(self, stream: Endable) -> None:
        """One more."""
        self._streams.add(stream)

    def discard(self, stream: Endable) -> None:
        """One is read no more."""
        self._streams.discard(stream)

    def end_all(self, error: HeadraceError) -> None:
        """End all, and tell their readers why."""
        for stream in list(self._streams):
            if not stream.has_ended:
                stream.end_by(error)


def reader_too_slow(seconds: float) -> HeadraceError:
    """Return what a caller gets that reads nothing for so long."""
    return ResourceExhausted(
        "READER_TOO_SLOW",
        f"{MAX_UNREAD_TOKENS} tokens were generated and nothing of them was read for {seconds:g} s, so "
        "the generation was ended; read the answer while it comes",
        facts={"limit_seconds": f"{seconds:g}"},
    )
