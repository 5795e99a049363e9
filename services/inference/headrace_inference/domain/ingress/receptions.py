"""Requests from their reception to their end: each is counted once, with what its caller was told.

A request counts on the version that it reached, also where that refuses it. One that reached none counts
under number 0 of its model; where it named a version that is not ready here, it counts on that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from headrace.errors import DeadlineExceeded, HeadraceError, Internal
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.reconciliation.load_waits import LOAD_WAIT_TIMEOUT, NO_ROOM_TO_LOAD
from headrace_inference.domain.routing.table import NOT_READY, RoutingTable
from headrace_inference.domain.scheduling.queue_refusals import CALLER_GONE, deadline_passed
from headrace_inference.domain.scheduling.requests import Asked, is_late
from headrace_inference.domain.versions.statistics import (
    Received,
    RunTimes,
    StatisticsRegistry,
    VersionCounters,
)

_OF_VERSIONS = (NOT_READY, LOAD_WAIT_TIMEOUT, NO_ROOM_TO_LOAD, "QUEUE_FULL")
"""Why a version that was named answers nothing: it is not loaded, and as many wait for that as may."""

Names = Callable[[], tuple[str, str]]
"""The names of model and version in a request, '' where they cannot be told."""


def caller_left(received_ns: int, deadline_ns: int | None, now_ns: int) -> HeadraceError:
    """Return why a request ends whose caller is gone."""
    if deadline_ns is not None and is_late(deadline_ns, now_ns):
        return deadline_passed(now_ns - received_ns)
    return CALLER_GONE


def known_error(error: Exception) -> HeadraceError:
    """The error itself; what callers are told of a bug."""
    if isinstance(error, HeadraceError):
        return error
    return Internal("INTERNAL", "the service failed on its own account; its log has the details")


class Reception:
    """A request of the event loop. Whichever end it has first is the one that counts.

    `statistics` are those of the version that it reached, and `run` is what answered it there.
    """

    __slots__ = (
        "_names",
        "_receptions",
        "asked",
        "deadline_ns",
        "ended",
        "received_ns",
        "route",
        "run",
        "statistics",
    )

    def __init__(self, receptions: Receptions, names: Names, deadline_ns: int | None) -> None:
        receptions.count += 1
        self._receptions = receptions
        self._names = names
        self.received_ns = receptions.clock.monotonic_ns()
        self.deadline_ns = deadline_ns
        self.statistics: VersionCounters | None = None
        self.route = ""
        """By which it reached the version."""
        self.asked: Asked | None = None
        self.run: tuple[Received, RunTimes] | None = None
        self.ended = False

    def answered(self) -> None:
        """Its answer is about to be sent. Raises DeadlineExceeded where nobody waits for it any more."""
        now = self._receptions.clock.monotonic_ns()
        if self.deadline_ns is not None and now > self.deadline_ns:
            raise DeadlineExceeded(
                "DEADLINE_EXCEEDED", "the request's deadline passed before its answer was sent"
            )
        if self._ends() and self.run is not None and self.statistics is not None:
            self.statistics.record_answer(*self.run, now)

    def failed(self, error: Exception) -> None:
        """Its caller is told this error."""
        if self._ends():
            known = known_error(error)
            statistics = self.statistics or self._receptions.refusing(*self._names(), known)
            took_ns = self._receptions.clock.monotonic_ns() - self.received_ns
            statistics.record_error(known.reason, took_ns, self)

    def left(self) -> None:
        """Its caller is gone, of its own accord or because its time is up."""
        self.failed(
            caller_left(self.received_ns, self.deadline_ns, self._receptions.clock.monotonic_ns())
        )

    def _ends(self) -> bool:
        if self.ended:
            return False
        self.ended = True
        self._receptions.count -= 1
        return True


AnyReception = TypeVar("AnyReception", bound=Reception)


class Receptions:
    """The requests that the event loop has received and not answered, and where refusals count."""

    def __init__(
        self, table: Callable[[], RoutingTable], book: StatisticsRegistry, clock: Clock
    ) -> None:
        self.clock = clock
        self._table = table
        self._book = book
        self.count = 0

    def begin(self, names: Names, deadline_ns: int | None = None) -> Reception:
        """A request has come; whoever has it ends it."""
        return Reception(self, names, deadline_ns)

    @contextmanager
    def receiving(self, names: Names, deadline_ns: int | None = None) -> Iterator[Reception]:
        """Around a request: it is answered when the block is left, and counted, however it ends."""
        with self.ending(self.begin(names, deadline_ns)) as reception:
            yield reception

    @contextmanager
    def ending(self, reception: AnyReception) -> Iterator[AnyReception]:
        """The same around one that has begun."""
        try:
            yield reception
            reception.answered()
        except (asyncio.CancelledError, GeneratorExit):
            reception.left()
            raise
        except Exception as error:
            reception.failed(error)
            raise

    def refusing(self, model_name: str, version: str, error: HeadraceError) -> VersionCounters:
        """Return where a request counts that was refused with this error and reached no version."""
        model, number = self._table().asked_for(model_name, version)
        return self._book.of(model, number if error.reason in _OF_VERSIONS else 0)

    def record_unread(self, reason: str) -> None:
        """Count a request that was refused before anybody could tell what it asked for."""
        self._book.of("", 0).record_error(reason, 0)
