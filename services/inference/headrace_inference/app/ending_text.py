"""Ends what is still generated when a replica's time to drain is nearly over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from headrace.service.http.server import DRAIN_SECONDS
from headrace.service.serving import open_background
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.scheduling.queue_refusals import shutting_down

DRAIN_PART = 0.8
"""Of the time to drain: the rest is for telling callers that their answers are not whole."""


@asynccontextmanager
async def ending_text(
    ingress: Ingress, closing: asyncio.Event, drain_seconds: float
) -> AsyncIterator[None]:
    """From when `closing` is set, let generations go on while ports drain; then end them with an error."""

    async def end() -> None:
        await closing.wait()
        await asyncio.sleep(DRAIN_PART * min(drain_seconds, DRAIN_SECONDS))
        ingress.text_streams.end_all(shutting_down())

    async with open_background() as jobs:
        jobs.run(end())
        yield
