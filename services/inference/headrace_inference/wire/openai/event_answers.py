"""Streams an answer: its head when something came or after a moment, errors as its last event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress

from headrace.errors import HeadraceError
from headrace.service.http.answers import Response
from headrace.service.http.events import EventStream
from headrace_inference.domain.generation.requests import GeneratedChunk, Usage
from headrace_inference.domain.ingress.generation_stream import GenerationStream, PromptScores
from headrace_inference.domain.ingress.language_calls import LanguageCall
from headrace_inference.wire.openai.errors import error_event
from headrace_inference.wire.openai.port import Received
from headrace_inference.wire.openai.streams import Piece, read_all, usage_of

PATIENCE_SECONDS = 0.5
"""How long an error may still have a status of its own. Clients' timeouts run until the head has come."""


class EventAnswer:
    """Writes what is generated, as events; each method returns whole ones."""

    def opening(self) -> bytes:
        """Write what comes first."""
        raise NotImplementedError

    def scored(self, number: int, scores: PromptScores) -> bytes:
        """The scores of a prompt."""
        raise NotImplementedError

    def chunks(self, number: int, chunks: Sequence[GeneratedChunk]) -> bytes:
        """Write what is new of the answer to a prompt."""
        raise NotImplementedError

    def closing(self, usage: Usage) -> bytes:
        """Write what comes last."""
        raise NotImplementedError

    def failure(self, error: HeadraceError) -> bytes:
        """Write what comes last where it failed."""
        return error_event(error)


async def stream_answer(
    received: Received,
    call: LanguageCall,
    streams: Sequence[GenerationStream],
    answer: EventAnswer,
) -> Response:
    """Answer with the events of a generation. Raises HeadraceError where it fails before anything came."""
    first = await _first(streams[0])
    with received.events() as events:
        try:
            events.send(answer.opening() + _written(answer, 0, first))
            await read_all(streams, _Writer(events, answer).take)
            call.count()
        except HeadraceError as error:
            error.forget_history()
            events.send(answer.failure(error))
        else:
            events.send(answer.closing(usage_of(streams)))
    return events.response


async def _first(stream: GenerationStream) -> Piece:
    """Return what comes first; nothing where that takes longer than a moment."""
    with suppress(TimeoutError, StopAsyncIteration):
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await anext(stream)
    return ()


def _written(answer: EventAnswer, number: int, piece: Piece) -> bytes:
    if isinstance(piece, PromptScores):
        return answer.scored(number, piece)
    return answer.chunks(number, piece)


class _Writer:
    """Sends pieces of all prompts, and waits where their client does not read."""

    def __init__(self, events: EventStream, answer: EventAnswer) -> None:
        self._events = events
        self._answer = answer

    def take(self, number: int, piece: Piece) -> Awaitable[None] | None:
        written = _written(self._answer, number, piece)
        if written:
            self._events.send(written)
        return self._events.body.drain() if self._events.body.is_full else None
