"""Questions about drift, and their answers: how each field of a version stands, with what is compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headrace.data_profiles.profiles import AspectKey, ProfileKey
from headrace_monitor.domain.clock import Clock, Moment
from headrace_monitor.domain.drift.baselines import Baseline
from headrace_monitor.domain.drift.drift_book import DriftBook
from headrace_monitor.domain.drift.events import Ints
from headrace_monitor.domain.drift.findings import Concern, Effects, Finding, SliceCause
from headrace_monitor.domain.drift.kept_examples import MAX_SHOWN, Shown
from headrace_monitor.domain.drift.panel import MINUTE_NS, Panel, effects
from headrace_monitor.domain.drift.rankings import worst_first
from headrace_monitor.domain.drift.recent_rows import SCALES
from headrace_monitor.domain.drift.subject import Subject
from headrace_monitor.domain.drift.wording import change_of
from headrace_monitor.domain.ingestion.ingestion import Ingestion
from headrace_monitor.domain.threads import Result

STRETCHES = SCALES
"""The lengths of stretches of newest rows that can be asked for, in minutes."""

MAX_FIELDS = 2048
"""In one answer: 3 MB with all distributions."""


@dataclass(frozen=True, slots=True)
class DriftQuery:
    """What is asked."""

    model: str
    version: int = 0
    """0: all versions."""
    slice: str = ""
    field: str = ""
    """'': all fields."""
    minutes: int = 60
    """The newest rows that are compared: of one of STRETCHES, up to twice as long."""


@dataclass(frozen=True, slots=True, eq=False)
class FieldDrift:
    """How one aspect of one field stands."""

    baseline: Baseline
    findings: Sequence[Finding]
    effects: Effects
    evidence_share: float
    """Of its furthest test, from 0 to 1: at 1 it becomes a finding."""
    current: Ints
    """The newest rows by group."""
    since_ns: int
    """When those begin."""
    change: str
    examples: Sequence[Shown] = ()
    """Rows that show what is off or, while nothing is, what differs most; where one field is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class SubjectDrift:
    """How a version, or a slice of it, stands."""

    key: ProfileKey
    baseline: Baseline | None
    """Any of its baselines: all have the same source; None while there are none."""
    compared_rows: int
    learnt_rows: int
    fields: Sequence[FieldDrift]
    slices: Sequence[str]
    causes: Collection[SliceCause]
    closed: Sequence[Finding]
    untested: bool = False
    left_out_fields: int = 0
    """Fields that are not told, since there are too many."""


class DriftDesk:
    """Answers questions in the thread of the reports, and has baselines learnt anew."""

    def __init__(self, book: DriftBook, ingestion: Ingestion, clock: Clock) -> None:
        self._book = book
        self._ingestion = ingestion
        self._clock = clock

    @property
    def alpha(self) -> float:
        """The false alarms a day of one version that are allowed."""
        return self._book.rules.alpha

    @property
    def margin(self) -> float:
        """By how much a share may change."""
        return self._book.rules.margin

    async def ask(
        self, query: DriftQuery, write: Callable[[Sequence[SubjectDrift]], Result]
    ) -> Result:
        """How the versions that are asked for stand, the newest first, as `write` makes of it there."""
        return await self._ingestion.run_in_thread(
            lambda: write(list(answers(self._book, query, self._clock())))
        )

    async def reset(self, model: str, version: int, part: str | None) -> int:
        """Learn anew what rows are compared with, of one slice or of all; give of how many that is.

        Raises ResourceExhausted (INTAKE_FULL), or Unavailable where it could not be stored now.
        """
        return await self._ingestion.apply(
            lambda: self._book.reset(model, version, part, self._clock())
        )


def answers(book: DriftBook, query: DriftQuery, moment: Moment) -> Iterator[SubjectDrift]:
    """How the versions that are asked for stand, the newest first."""
    known = [each for each in book.subjects.values() if _is_asked(each.key, query)]
    minute, room = moment.now_ns // MINUTE_NS, MAX_FIELDS
    for subject in sorted(known, key=lambda each: -each.key.version):
        answer = _answer(book, subject, query, minute)
        kept = answer.fields[:room]
        room -= len(kept)
        left_out = len(answer.fields) - len(kept)
        yield replace(answer, fields=kept, left_out_fields=left_out)
    for key in book.untested:
        if _is_asked(key, query) and key not in book.subjects:
            yield SubjectDrift(key, None, 0, 0, (), (), (), (), untested=True)


def _answer(book: DriftBook, subject: Subject, query: DriftQuery, minute: int) -> SubjectDrift:
    model, version, _ = subject.key
    panel = subject.panel
    return SubjectDrift(
        subject.key,
        panel.baselines[0] if panel else None,
        subject.compared_rows,
        subject.first.rows if subject.first else 0,
        _ordered(_fields(book, subject, panel, query, minute)) if panel else (),
        book.slices_of(model, version),
        book.slice_causes(model, version),
        panel.closed[::-1] if panel else (),
    )


def _is_asked(key: ProfileKey, query: DriftQuery) -> bool:
    is_version = key.version == query.version or not query.version
    return is_version and (key.model, key.slice) == (query.model, query.slice)


def _fields(
    book: DriftBook, subject: Subject, panel: Panel, query: DriftQuery, minute: int
) -> Iterator[FieldDrift]:
    newest = panel.recent.of_scale(query.minutes, minute)
    shares = panel.evidence_shares()
    off: defaultdict[AspectKey, list[Finding]] = defaultdict(list)
    for (key, _), finding in panel.open.items():
        off[key].append(finding)
    for baseline, span in zip(panel.baselines, panel.spans, strict=True):
        if query.field in {"", baseline.key.field}:
            current = newest.counts[span.first : span.last]
            findings = worst_first(off.get(baseline.key, ()))
            shown = _shown(book, subject, baseline, current, findings) if query.field else ()
            yield FieldDrift(
                baseline,
                findings,
                effects(baseline, current),
                shares[baseline.key],
                current,
                newest.since * MINUTE_NS,
                change_of(baseline, current, Concern.DISTRIBUTION) if np.any(current) else "",
                shown,
            )


def _shown(
    book: DriftBook,
    subject: Subject,
    baseline: Baseline,
    current: Ints,
    findings: Sequence[Finding],
) -> Sequence[Shown]:
    found = [shown for finding in findings for shown in book.showing(subject, finding)]
    if not findings:
        found = book.examples.showing(
            subject.key, subject.layout, baseline, current, Concern.DISTRIBUTION
        )
    newest = sorted(set(found), key=lambda each: (-each.time_ns, each.request_id, each.row))
    return newest[:MAX_SHOWN]


def _ordered(fields: Iterable[FieldDrift]) -> Sequence[FieldDrift]:
    """Those that are off come first, worst first; the others by name."""
    return sorted(fields, key=_rank)


def _rank(field: FieldDrift) -> tuple[object, ...]:
    worst = max((each.effects.jensen_shannon for each in field.findings), default=0.0)
    return (not field.findings, -worst, field.baseline.key)
