"""Questions about quality: first the counts of each stretch are gathered, then figures are made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headrace import errors
from headrace.errors import FieldViolation
from headrace_monitor.domain.quality.classification import class_figures
from headrace_monitor.domain.quality.estimates import (
    SMALL,
    Calibration,
    calibrate,
    estimated_figures,
)
from headrace_monitor.domain.quality.figures import (
    ConfusionCount,
    Figure,
    QualityFigures,
    QualityKey,
    QualityQuery,
)
from headrace_monitor.domain.quality.regression import number_figures
from headrace_monitor.domain.quality.tallies import OTHER, Tally
from headrace_monitor.domain.quality.tallies_by_time import (
    STRETCH_NS,
    Learnt,
    TalliesByTime,
    TallyKey,
)
from headrace_monitor.domain.telemetry.report import NANOSECONDS

MAX_STEPS = 200
MAX_ANSWERS = 2_000
"""Stretches by version and slice in one answer."""

OLD_NS = 7 * 24 * 3600 * NANOSECONDS
"""An estimate that learnt from labels of answers that are older than so says it."""

MAX_CONFUSION = 10_000

TOGETHER = 100
"""Tallies that are added up in one go, in up to 50 ms: reports get their turn in between."""


@dataclass(slots=True)
class Gathered:
    """What was counted of a version and slice in one stretch, and what is known to learn from."""

    key: QualityKey
    start_ns: int
    end_ns: int
    tally: Tally
    learnt: Learnt


class Gathering:
    """Adds up the tallies of a question, some at a time, in the thread that changes them.

    A stretch of 10 minutes belongs to the step in which it begins; the first begins with the stretch in
    which the window begins. Raises InvalidArgument (INVALID_QUERY) for too many steps.
    """

    def __init__(
        self, tallies: TalliesByTime, query: QualityQuery, *, limited: bool = True
    ) -> None:
        self._tallies = tallies
        self._end_ns = query.end_ns
        self._begin = (query.end_ns - query.window_ns) // STRETCH_NS
        end = -(-query.end_ns // STRETCH_NS)
        whole = max(end - self._begin, 1)
        self._per_step = max(-(-query.step_ns // STRETCH_NS), 1) if query.step_ns else whole
        if whole > MAX_STEPS * self._per_step:
            raise _too_many("step", f"must cut the window into at most {MAX_STEPS} stretches")
        self._limited = limited
        self._found: dict[tuple[QualityKey, int], Gathered] = {}
        self._learnt: dict[QualityKey, Learnt] = {}
        self._left = [
            at
            for at, _ in tallies.items()
            if self._begin <= at.stretch < end and _is_asked(query, QualityKey(*at[:3]))
        ]

    def add_some(self) -> bool:
        """Add the next ones up; False once there are no more."""
        some, self._left = self._left[:TOGETHER], self._left[TOGETHER:]
        for at in some:
            tally = self._tallies.peek(at)
            if tally is not None and not tally.is_empty:
                self._add(at, tally)
        return bool(self._left)

    def _add(self, at: TallyKey, tally: Tally) -> None:
        key, step = QualityKey(*at[:3]), (at.stretch - self._begin) // self._per_step
        one = self._found.get((key, step))
        if one is None:
            if self._limited and len(self._found) >= MAX_ANSWERS:
                raise _too_many("model", f"has over {MAX_ANSWERS} stretches, versions and slices")
            learnt = self._learnt.setdefault(key, self._tallies.learnt(key))
            start_ns = (self._begin + step * self._per_step) * STRETCH_NS
            stop_ns = min(start_ns + self._per_step * STRETCH_NS, self._end_ns)
            one = self._found[key, step] = Gathered(key, start_ns, stop_ns, Tally(), learnt)
        one.tally.add(tally)

    def gathered(self) -> list[Gathered]:
        """Return what was added up."""
        return sorted(
            self._found.values(),
            key=lambda one: (one.key.model, one.key.version, one.key.slice, one.start_ns),
        )


def gather(tallies: TalliesByTime, query: QualityQuery) -> list[Gathered]:
    """Add all up at once. Raises InvalidArgument (INVALID_QUERY)."""
    gathering = Gathering(tallies, query)
    while gathering.add_some():
        pass
    return gathering.gathered()


def figures_of(gathered: Sequence[Gathered]) -> list[QualityFigures]:
    """Make figures of what was gathered; it takes up to 50 ms for each, in any thread."""
    calibrations: dict[QualityKey, Calibration | None] = {}
    for one in gathered:
        if one.key not in calibrations:
            calibrations[one.key] = calibrate(one.learnt.judged)
    return [measured(one, calibrations[one.key]) for one in gathered]


def measured(one: Gathered, calibration: Calibration | None = None) -> QualityFigures:
    """Make figures of one; estimates where there is something that teaches them."""
    tally = one.tally
    estimates: tuple[Figure, ...] = ()
    if calibration is not None:
        estimates = tuple(estimated_figures(tally, calibration))
    return QualityFigures(
        one.key,
        one.start_ns,
        one.end_ns,
        tally.predictions,
        tally.labelled,
        tally.delay_seconds / tally.labelled if tally.labelled else 0.0,
        (*class_figures(tally), *number_figures(tally)),
        estimates,
        tuple(_confusion(tally)),
        tuple(_notes(one, calibration if estimates else None)),
    )


def _confusion(tally: Tally) -> list[ConfusionCount]:
    counts = [
        ConfusionCount(predicted, truth, count)
        for predicted, truths in tally.confusion.items()
        for truth, count in truths.items()
        if count > 0
    ]
    counts.sort(key=lambda each: (-each.count, each.predicted, each.truth))
    return counts[:MAX_CONFUSION]


def _notes(one: Gathered, calibration: Calibration | None) -> Iterator[str]:
    if calibration is not None:
        if calibration.labels < SMALL:
            yield f"the estimate was learnt from {calibration.labels} labels alone: fewer than {SMALL}"
        age_ns = one.end_ns - one.learnt.newest_ns
        if age_ns > OLD_NS:
            days = age_ns // (24 * 3600 * NANOSECONDS)
            yield f"the estimate was learnt from answers that are {days} days older"
    names = {OTHER} & {*one.tally.confusion, *one.tally.seen}
    if names or any(OTHER in truths for truths in one.tally.confusion.values()):
        yield f"there are more classes than are told apart: the others are {OTHER}"


def _is_asked(query: QualityQuery, key: QualityKey) -> bool:
    return (
        query.model in ("", key.model)
        and query.version in (0, key.version)
        and query.slice in (None, key.slice)
        and query.is_seen(key.model)
    )


def _too_many(field: str, description: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "INVALID_QUERY", f"{field} {description}", violations=(FieldViolation(field, description),)
    )
