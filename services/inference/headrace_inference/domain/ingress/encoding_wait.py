"""Brings what an encoder's thread makes to whoever waits for it on an event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from headrace.errors import HeadraceError
from headrace_inference.domain.encoding.requests import Vectors


class EncodingWait:
    """The sink of one call, whose outcome settles `vectors` on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.vectors: asyncio.Future[Vectors] = loop.create_future()

    def encoded(self, vectors: Vectors) -> None:
        """Take a row for each text."""
        self._settle(vectors, None)

    def failed(self, error: HeadraceError) -> None:
        """Take the error that ended it."""
        self._settle(None, error)

    def _settle(self, vectors: Vectors | None, error: HeadraceError | None) -> None:
        def settle() -> None:
            if self.vectors.done():  # the caller has gone
                return
            if error is not None:
                self.vectors.set_exception(error)
            elif vectors is not None:
                self.vectors.set_result(vectors)

        with suppress(RuntimeError):  # the loop has ended, and the process is about to
            self._loop.call_soon_threadsafe(settle)
