"""Reads what is generated, from one prompt or several at once, in whatever order it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from headrace.errors import HeadraceError
from headrace_inference.domain.generation.requests import GeneratedChunk, Usage
from headrace_inference.domain.ingress.generation_stream import GenerationStream, PromptScores

Piece = PromptScores | Sequence[GeneratedChunk]
Take = Callable[[int, Piece], Awaitable[None] | None]
"""Takes a piece of the generation of the prompt with this number; it may wait."""


async def read_all(streams: Sequence[GenerationStream], take: Take) -> None:
    """Hand on all pieces of all streams. Raises the first HeadraceError that ends one."""
    if len(streams) == 1:
        await _read(0, streams[0], take)
        return
    try:
        async with asyncio.TaskGroup() as group:
            for number, stream in enumerate(streams):
                group.create_task(_read(number, stream, take))
    except ExceptionGroup as errors:
        raise _first(errors) from None


def _first(errors: ExceptionGroup) -> Exception:
    """The error that a caller is told, a bug before anything else."""
    known, bugs = errors.split(HeadraceError)
    found = (bugs or known or errors).exceptions[0]
    return _first(found) if isinstance(found, ExceptionGroup) else found


async def _read(number: int, stream: GenerationStream, take: Take) -> None:
    async for piece in stream:
        waiting = take(number, piece)
        if waiting is not None:
            await waiting


def usage_of(streams: Sequence[GenerationStream]) -> Usage:
    """The tokens of all together, once they have ended."""
    parts = [stream.usage for stream in streams]
    return Usage(
        sum(part.prompt_tokens for part in parts),
        sum(part.completion_tokens for part in parts),
        sum(part.cached_tokens for part in parts),
    )


def usage_object(usage: Usage) -> dict[str, object]:
    """The tokens of a call in OpenAI's form."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
