"""Bounds the cost of runs that nobody asked for, by the time and memory that fewer rows took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.machine.memory import own_memory_bytes
from headrace.state.records import Batching

WARM_UP_SECONDS = 5.0
"""The warm-up of proposed batch sizes takes about so long at most."""

RUN_BYTES = 128 << 20
"""A run of a proposed batch size takes about so much memory at most, beside the weights."""


def is_proposed(batching: Batching) -> bool:
    """Return whether nobody asked for these rows: then larger requests run too, and none is padded."""
    sizes = batching.allowed_batch_sizes or batching.preferred_batch_sizes
    return batching.allow_larger_requests and batching.max_batch_size > 1 and not sizes


class WarmUpCosts:
    """The cost of one version's runs so far, and whether a larger one can be afforded."""

    def __init__(self) -> None:
        self._until = time.monotonic() + WARM_UP_SECONDS
        self._before = own_memory_bytes()
        self._seconds = 0.0
        self.rows = 0
        """Those of the last run that worked."""

    def afford(self, rows: int) -> bool:
        """Return whether a run of so many rows fits, if it takes as much for each as the last one did."""
        if not self.rows:
            return True
        share = rows / self.rows
        grown = own_memory_bytes() - self._before
        left = self._until - time.monotonic()
        return self._seconds * share <= left and grown * share <= RUN_BYTES

    @contextmanager
    def running(self, rows: int) -> Iterator[None]:
        """Measure the inside, which runs so many rows."""
        started = time.monotonic()
        yield
        self._seconds = time.monotonic() - started
        self.rows = rows
