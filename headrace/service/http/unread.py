"""Counts what a client has not read of its answers: it is kept for as long."""

from __future__ import annotations

import asyncio

from headrace.service.http.requests import Application


class Unread:
    """The bytes that the client of one connection has not read, as its application was told last."""

    __slots__ = ("_size",)

    def __init__(self) -> None:
        self._size = 0

    def tell(self, waiting: asyncio.Transport | None, application: Application) -> bool:
        """Have the application count what waits in a transport, or nothing; True where that has changed."""
        size = 0 if waiting is None else waiting.get_write_buffer_size()
        more, self._size = size - self._size, size
        if more:
            application.hold_unread(more)
        return more != 0
