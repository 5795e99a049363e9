"""Declares what a loaded version needs of whatever decides when its requests run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headrace_inference.domain.scheduling.requests import InferenceRequest


class SchedulerStopped(Exception):
    """The version is being unloaded: ask the route again."""


class Scheduler(Protocol):
    """Takes the requests of one version and has each of them answered. Whoever opens one stops it."""

    @property
    def waiting(self) -> int:
        """Count the requests that no run has taken yet."""

    @property
    def in_flight(self) -> int:
        """Count the requests that wait or run."""

    @property
    def expected_wait_ns(self) -> float:
        """Return how long a request would wait that came now; 0 where that is not known."""

    def enqueue(self, requests: Sequence[InferenceRequest]) -> None:
        """Take requests; each of them is answered or fails, whatever happens. Never blocks.

        Raises SchedulerStopped, before taking any, where the version no longer takes requests.
        """

    def acquire_inline(self) -> bool:
        """Let the caller run requests on its own thread now, past the queue, until `release_inline`.

        False: they must be queued, since others are ahead of them, or since this scheduler never lets them.
        """

    def release_inline(self) -> None:
        """End the inline run that `acquire_inline` allowed."""

    def open_background(self) -> None:
        """Have requests of priority BACKGROUND wait behind all others; it is called before the first."""

    def stop_batching(self) -> bool:
        """Let no requests share a run from now on. False: that was so already."""

    def stop(self) -> None:
        """Take no more requests and finish those that were taken. Blocks until then."""
