"""Answers what the rows of a version looked like in a window of time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from headrace import errors
from headrace.data_profiles.profiles import ProfileKey
from headrace.errors import FieldViolation
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.profiles.profile_book import ProfileBook, ProfilesInBins
from headrace_monitor.domain.queries.query_engine import Query, QueryEngine
from headrace_monitor.domain.replicas.gaps import Gap
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.domain.threads import run_in

DEFAULT_WINDOW_NS = 3600 * NANOSECONDS
LEAST_STEP_NS = 60 * NANOSECONDS
MAX_STEPS = 500


@dataclass(frozen=True, slots=True)
class ProfileQuery:
    """A question. `end_ns` 0, or one to come, is the present; `step_ns` 0 wants no steps."""

    key: ProfileKey
    window_ns: int = DEFAULT_WINDOW_NS
    end_ns: int = 0
    step_ns: int = 0


@dataclass(frozen=True, slots=True)
class ProfileAnswer:
    """The answer: profiles by their bins, the newest first, and the time that they cover."""

    profiles: Sequence[ProfilesInBins]
    slices: Sequence[str]
    start_ns: int
    """0 where nothing is covered."""
    end_ns: int
    gaps: Sequence[Gap] = ()
    """Of the reports in the window: profiles come with them."""


class ProfileQuestions:
    """Answers questions from the book, in the thread of the questions."""

    def __init__(
        self,
        book: ProfileBook,
        clock: Clock,
        kept_seconds: int,
        thread: Executor | None = None,
        query_engine: QueryEngine | None = None,
    ) -> None:
        self._book, self._clock, self._query_engine = book, clock, query_engine
        self._kept_ns = kept_seconds * NANOSECONDS
        self._thread = thread

    async def ask(self, query: ProfileQuery) -> ProfileAnswer:
        """Answer a question. Raises InvalidArgument (INVALID_QUERY)."""
        self._check(query)
        answer = await run_in(self._thread, lambda: self._answer(query))
        return replace(answer, gaps=await self._gaps(query))

    async def _gaps(self, query: ProfileQuery) -> Sequence[Gap]:
        if self._query_engine is None:
            return ()
        asked = Query(window_ns=query.window_ns, end_ns=query.end_ns, is_seen=_no_model)
        return (await self._query_engine.statistics(asked)).gaps

    def _answer(self, query: ProfileQuery) -> ProfileAnswer:
        now_ns = self._clock().now_ns
        end_ns = min(query.end_ns or now_ns, now_ns)
        found = self._book.sums(query.key, end_ns - query.window_ns, end_ns, query.step_ns)
        steps = [step for each in found for step in each.steps]
        known = self._book.versions_and_slices()
        slices = sorted(key.slice for key in known if key[:2] == query.key[:2] and key.slice)
        return ProfileAnswer(
            found,
            slices,
            min((step.start_ns for step in steps), default=0),
            min(now_ns, max((step.end_ns for step in steps), default=end_ns)),
        )

    def _check(self, query: ProfileQuery) -> None:
        most = query.window_ns // query.step_ns if query.step_ns else 0
        rules = (
            (bool(query.key.model), "model", "is required"),
            (query.key.version > 0, "version", "is required"),
            (
                0 < query.window_ns <= self._kept_ns,
                "window",
                f"must be longer than 0 and at most {self._kept_ns // NANOSECONDS} s: more is not kept",
            ),
            (query.end_ns >= 0, "end_time", "must be after 1970"),
            (query.step_ns == 0 or query.step_ns >= LEAST_STEP_NS, "step", "must be at least 60 s"),
            (most <= MAX_STEPS, "step", f"must cut the window into {MAX_STEPS} steps at most"),
        )
        wrong = [FieldViolation(field, why) for is_well, field, why in rules if not is_well]
        if wrong:
            raise errors.InvalidArgument(
                "INVALID_QUERY",
                f"{wrong[0].field} {wrong[0].description}",
                violations=tuple(wrong),
            )


def _no_model(_: str) -> bool:
    """Gaps are those of replicas: no figures are added up for them."""
    return False
