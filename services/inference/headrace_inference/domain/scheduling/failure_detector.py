"""Detects versions that cannot run any more, rather than having wrong inputs.

Callers alone must not be able to take a version down: it is broken where the device says so again and
again, or where the run that it was warmed with, which worked, works no more.
"""

from __future__ import annotations

from collections.abc import Callable

from headrace_inference.domain.scheduling.runner import RunFailed

RUNS_BEFORE_PROBE = 8
"""A probe costs a run of one row: an eighth at most of what callers with wrong inputs cost anyway."""


class FailureStreak:
    """The runs that failed since one worked. `broken` is called once, from the thread that found out."""

    def __init__(self, probe: Callable[[], str], broken: Callable[[str], None]) -> None:
        self._probe = probe
        self._broken = broken
        self._told = False
        self.length = 0
        """Whoever sees a run work sets it to 0."""

    def add(self, failure: RunFailed) -> None:
        """One more; every so many, find out what is wrong."""
        self.length += 1
        if self._told or self.length % RUNS_BEFORE_PROBE:
            return
        wrong = str(failure) if failure.is_fatal else self._probe()
        if wrong:
            self.tell_broken(wrong)

    def tell_broken(self, wrong: str) -> None:
        """It is known not to run any more."""
        if not self._told:
            self._told = True
            self._broken(wrong)
