"""Has SIGTERM end a command as Ctrl-C does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

_ENDED_BY_SIGNAL = 128


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Cancel what is inside at SIGTERM, so that it clears away what it began; the exit status says so."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    ended: list[int] = []

    def end() -> None:
        ended.append(signal.SIGTERM)
        task.cancel()

    with suppress(NotImplementedError):  # on Windows
        loop.add_signal_handler(signal.SIGTERM, end)
    try:
        yield
    except asyncio.CancelledError:
        if not ended:
            raise
        raise typer.Exit(_ENDED_BY_SIGNAL + ended[0]) from None
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGTERM)
