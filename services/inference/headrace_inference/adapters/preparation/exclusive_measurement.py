"""Measuring while nothing else is loaded: a load that begins ends the measurement that is under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ExclusiveMeasurement:
    """Keeps loading and measuring apart. No load ever waits; a measurement that was ended is made later.

    One measures at a time, else two would measure each other. A load that has gone on for longer than
    `patience_seconds` keeps nobody from measuring: it would for as long as it goes on.
    """

    def __init__(
        self, patience_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._mutex = threading.Lock()
        self._loads: dict[object, float] = {}
        """The loads under way, with when they began."""
        self._measurement: threading.Event | None = None
        """Ends the measurement that is under way, once it is set."""

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Have nobody measure while inside."""
        load = object()
        with self._mutex:
            self._loads[load] = self._clock()
            if self._measurement is not None:
                self._measurement.set()
        try:
            yield
        finally:
            with self._mutex:
                del self._loads[load]

    @contextmanager
    def measuring(self, abandoned: threading.Event) -> Iterator[bool]:
        """Yield whether one may measure now; if so `abandoned` is set as soon as something loads."""
        with self._mutex:
            recently = self._clock() - self._patience_seconds
            loads = any(began > recently for began in self._loads.values())
            may = self._measurement is None and not loads
            if may:
                self._measurement = abandoned
        try:
            yield may
        finally:
            if may:
                with self._mutex:
                    self._measurement = None
