"""Measuring while nothing else is loaded, as far as a short wait brings that about."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class ExclusiveMeasurement:
    """Keeps loading and measuring apart. Nobody waits for longer than `max_wait_seconds`.

    Nor for a load that has gone on for longer than that: it would hold up every measurement for as long.
    One measures at a time, else two would measure each other.
    """

    def __init__(self, max_wait_seconds: float) -> None:
        self._max_wait_seconds = max_wait_seconds
        self._changed = threading.Condition()
        self._loads: dict[object, float] = {}
        """The loads under way, with when they began."""
        self._measures = False

    @contextmanager
    def loading(self, *, briefly: bool = False) -> Iterator[None]:
        """Wait until nobody measures, and have measurements wait while inside.

        What loads `briefly` does not wait: it takes moments, and would wait for seconds.
        """
        with self._changed:
            if not briefly:
                self._changed.wait_for(lambda: not self._measures, self._max_wait_seconds)
            load = object()
            self._loads[load] = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                del self._loads[load]
                self._changed.notify_all()

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Wait until nobody measures, and for a while until nothing loads."""
        with self._changed:
            self._changed.wait_for(lambda: not self._measures)
            self._measures = True
            self._wait_for_loads()
        try:
            yield
        finally:
            with self._changed:
                self._measures = False
                self._changed.notify_all()

    def _wait_for_loads(self) -> None:
        """Wait until nothing is loading that began a short while ago; the condition is held."""
        patience = self._max_wait_seconds
        until = time.monotonic() + patience
        while self._loads:
            left = min(until, max(self._loads.values()) + patience) - time.monotonic()
            if left <= 0 or not self._changed.wait(left):
                return
