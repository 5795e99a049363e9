"""Measuring while nothing else is loaded, as far as a short wait brings that about."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Quiet:
    """Keeps loading and measuring apart. Nobody waits for longer than `patience_seconds`.

    One measures at a time, else two would measure each other.
    """

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._changed = threading.Condition()
        self._loads = 0
        self._measures = False

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Wait until nobody measures, and have measurements wait while inside."""
        with self._changed:
            self._changed.wait_for(lambda: not self._measures, self._patience_seconds)
            self._loads += 1
        try:
            yield
        finally:
            with self._changed:
                self._loads -= 1
                self._changed.notify_all()

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Wait until nobody measures, and for a while until nothing loads."""
        with self._changed:
            self._changed.wait_for(lambda: not self._measures)
            self._measures = True
            self._changed.wait_for(lambda: not self._loads, self._patience_seconds)
        try:
            yield
        finally:
            with self._changed:
                self._measures = False
                self._changed.notify_all()
