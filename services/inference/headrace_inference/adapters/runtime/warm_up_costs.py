"""Bounds the cost of runs that nobody asked for, by the time and memory that fewer rows took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.machine.memory import own_memory_bytes
from headrace.state.records import Batching
from headrace_inference.domain.scheduling.execution_plan import MIN_SCALING_GAIN

WARM_UP_SECONDS = 5.0
"""The warm-up of proposed batch sizes takes about so long at most."""

_CHEAP_SECONDS = 0.2
"""Until then sizes grow whatever they bring: short runs are measured badly."""

RUN_BYTES = 128 << 20
"""A run of a proposed batch size takes about so much memory at most, beside the weights."""


def is_proposed(batching: Batching) -> bool:
    """Return whether nobody asked for these rows: then larger requests run too, and none is padded."""
    sizes = batching.allowed_batch_sizes or batching.preferred_batch_sizes
    return batching.allow_larger_requests and batching.max_batch_size > 1 and not sizes


@dataclass(frozen=True, slots=True)
class WarmUpBudget:
    """The time for rows that nobody need wait for.

    `is_trial`: nothing is known of the version yet, so what it cannot afford it never gets. Else all that
    may run did so on trial, and what is left out runs when a caller asks for it.
    """

    seconds: float = WARM_UP_SECONDS
    is_trial: bool = True


FULL_BUDGET = WarmUpBudget()


class WarmUpCosts:
    """The cost of one version's runs so far, and whether a larger one can be afforded."""

    def __init__(self, budget: WarmUpBudget = FULL_BUDGET) -> None:
        self._started = time.monotonic()
        self._until = self._started + budget.seconds
        self._before = own_memory_bytes()
        self._seconds = 0.0
        self._rates: list[float] = []
        self.rows = 0
        """Those of the last run that worked."""

    def afford(self, rows: int) -> bool:
        """Return whether a run of so many rows fits, and may bring more rows a second.

        It is expected to take as much for each row as the last one did.
        """
        if not self.rows:
            return True
        now, share = time.monotonic(), rows / self.rows
        grown = own_memory_bytes() - self._before
        is_known = now - self._started > _CHEAP_SECONDS
        if is_known and not self._is_scaling():
            return False
        return self._seconds * share <= self._until - now and grown * share <= RUN_BYTES

    def _is_scaling(self) -> bool:
        """Return whether more rows at once brought more a second so far, or nobody knows."""
        rates = self._rates
        return len(rates) < 3 or max(rates[-2:]) >= MIN_SCALING_GAIN * max(rates[:-2])

    @contextmanager
    def running(self, rows: int) -> Iterator[None]:
        """Measure the inside, which runs so many rows."""
        started = time.monotonic()
        yield
        self._seconds = time.monotonic() - started
        self._rates.append(rows / max(self._seconds, 1e-9))
        self.rows = rows
