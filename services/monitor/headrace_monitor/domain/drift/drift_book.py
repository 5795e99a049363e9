"""The book of drift: takes the profiles of reports, compares them, and keeps evidence and findings."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from headrace.data_profiles.layouts import Layout
from headrace.data_profiles.profiles import AspectKey, Profile, ProfileKey
from headrace.data_profiles.references import Reference
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.drift import baseline_sources, stored_subjects
from headrace_monitor.domain.drift.baseline_sources import References
from headrace_monitor.domain.drift.baselines import Baseline
from headrace_monitor.domain.drift.evidence import STEP_SECONDS
from headrace_monitor.domain.drift.findings import Finding, ReferenceSource, SliceCause
from headrace_monitor.domain.drift.kept_examples import KeptExamples, Shown
from headrace_monitor.domain.drift.learning import FirstRows, LearningRules
from headrace_monitor.domain.drift.panel import Panel
from headrace_monitor.domain.drift.rankings import causes_of, ranked
from headrace_monitor.domain.drift.subject import Subject, needed_bytes
from headrace_monitor.domain.ingestion.books import BookChanges
from headrace_monitor.domain.telemetry.report import Report

logger = logging.getLogger(__name__)

_SECOND = 10**9
STEP_NS = STEP_SECONDS * _SECOND
STORED_NS = 60 * _SECOND
"""Evidence is stored so often, what is found at once: a process that is killed loses a minute's rows."""
SILENT_NS = 600 * _SECOND
"""Rows in other bins are taken up once those of before have been silent for so long."""
UNUSED_NS = 6 * 3600 * _SECOND
"""Findings about rows that do not come any more are closed after so long; they open again with the rows."""
FORGOTTEN_NS = 7 * 24 * 3600 * _SECOND
"""A subject that had no rows for so long is forgotten."""


@dataclass(frozen=True, slots=True)
class DriftRules:
    """How drift is looked for."""

    margin: float = 0.01
    """A share of the reference may change by so much."""
    alpha: float = 0.01
    """False alarms a day of one version, at most, on average."""
    learning: LearningRules = LearningRules()
    memory_bytes: int = 64 * 2**20


DEFAULT_RULES = DriftRules()

MOST_COMPARED = 50
"""Subjects that get baselines in one step, 10 ms each: of hundreds that are ready at once others wait for
the next step, and go on learning."""

MAX_UNTESTED = 10_000

MAX_WITH_REQUESTS = 200
"""Findings of which requests are looked for that show them: 20 ms."""


class DriftBook:
    """All its methods are called in the thread of the reports; `findings` may be read anywhere."""

    name = "drift"

    def __init__(
        self, rules: DriftRules = DEFAULT_RULES, references: References | None = None
    ) -> None:
        self.rules = rules
        self._references = references
        self.subjects: dict[ProfileKey, Subject] = {}
        self.examples = KeptExamples()
        self.findings: tuple[Finding, ...] = ()
        self.untested: set[ProfileKey] = set()
        """Those that there is no memory for."""
        self._causes: Mapping[tuple[str, int], Collection[SliceCause]] = {}
        self._stepped_ns = 0
        self._compared = 0
        self._kin: Mapping[tuple[str, str], Sequence[Subject]] = {}
        """By model and slice, in one step."""
        self._free_bytes = rules.memory_bytes
        """What is left for new subjects; reckoned anew in each step."""
        self._changed: set[ProfileKey] = set()
        self._gone: set[ProfileKey] = set()

    def open_findings(self) -> Sequence[Finding]:
        """All that are open, worst first in each version. May be called in any thread."""
        return self.findings

    def slice_causes(self, model: str, version: int) -> Collection[SliceCause]:
        """For each field that is off, the slices that moved and that did not. In any thread."""
        return self._causes.get((model, version), ())

    def slices_of(self, model: str, version: int) -> list[str]:
        """The slices of a version whose rows are looked at, but that of all rows."""
        return sorted(
            key.slice
            for key in self.subjects
            if key.slice and (key.model, key.version) == (model, version)
        )

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take up what was stored; what cannot be read begins anew."""
        for key, value in entries:
            subject = stored_subjects.subject_from_bytes(value, self._new_panel)
            if subject is None:
                logger.warning("stored evidence of drift cannot be read", extra={"entry": key})
                continue
            self.subjects[subject.key] = subject
        self._free_bytes = self.rules.memory_bytes - self.size_bytes
        self._publish()

    def merge(self, report: Report, moment: Moment) -> None:
        """Count the profiles of a report, and keep the rows that it shows."""
        self.examples.take(report.examples)
        for each in report.profiles:
            self.take(each.key, each.layout, each.profile, moment)

    def take(self, key: ProfileKey, layout: Layout, profile: Profile, moment: Moment) -> None:
        """Count what rows of a version or slice looked like."""
        subject = self._subject(key, layout, moment)
        if subject is not None and subject.layout == layout:
            subject.layout = layout  # the same object is compared at once, the next time
            subject.count(profile)
            subject.seen_ns = moment.steady_ns

    def reset(self, model: str, version: int, part: str | None, moment: Moment) -> int:
        """Learn baselines anew from the next rows, of one slice or of all; give of how many it is."""
        keys = [
            key
            for key in self.subjects
            if (key.model, key.version) == (model, version) and part in {None, key.slice}
        ]
        for key in keys:
            known = self.subjects[key]
            self._begin(key, known.order, known.layout, moment).is_reset = True
            self._changed.add(key)
        self._publish()
        return len(keys)

    def changes(self, moment: Moment) -> BookChanges:
        """Look at the rows that came since the last step, if that was long enough ago."""
        if abs(moment.steady_ns - self._stepped_ns) >= STEP_NS:
            self._stepped_ns = moment.steady_ns
            self._step(moment)
        return BookChanges(
            {
                stored_subjects.key_bytes(key): stored_subjects.subject_to_bytes(self.subjects[key])
                for key in self._changed
            },
            [stored_subjects.key_bytes(key) for key in self._gone],
        )

    def mark_stored(self) -> None:
        """All that `changes` gave is stored."""
        self._changed, self._gone = set(), set()

    def _step(self, moment: Moment) -> None:
        has_news = False
        self._compared, self._kin = 0, _by_kin(self.subjects.values())
        for key, subject in list(self.subjects.items()):
            if subject.pending_rows:
                is_new = self._prepare(subject, moment) or subject.step(moment.now_ns)
                has_news |= is_new
                if is_new or moment.steady_ns - subject.stored_ns >= STORED_NS:
                    subject.stored_ns = moment.steady_ns
                    self._changed.add(key)
            elif moment.steady_ns - subject.seen_ns > FORGOTTEN_NS:
                has_news = True
                self._forget(key)
            elif moment.steady_ns - subject.seen_ns > UNUSED_NS and subject.close(moment.now_ns):
                has_news = True
                self._changed.add(key)
        self._free_bytes = self.rules.memory_bytes - self.size_bytes
        if has_news or self.findings:
            self._publish()

    def _prepare(self, subject: Subject, moment: Moment) -> bool:
        """Give a subject (better) baselines, if there are any; its next rows are compared with them."""
        if self._compared >= MOST_COMPARED:
            return False
        if registered := self._registered(subject):
            self._compare(subject, registered, is_final=True)
            return True
        if subject.first is None:
            return False
        if subject.first.suffice(self.rules.learning, moment.steady_ns):
            own = baseline_sources.of_first_rows(subject.layout, subject.first)
            self._compare(subject, own, is_final=True)
            return True
        if subject.panel is None and not subject.is_reset:
            self._compare(subject, self._of_older(subject), is_final=False)
        return False

    def _registered(self, subject: Subject) -> Sequence[Baseline]:
        """The registry's reference, if it is there only now. A slice has rows of its own kind, always."""
        digest, panel = subject.layout.reference, subject.panel
        if not digest or subject.key.slice or subject.is_reset:
            return []
        if panel and panel.source is ReferenceSource.REGISTERED:
            return []
        reference = self._reference(subject.key, digest)
        return baseline_sources.of_registry(reference) if reference else []

    def _reference(self, key: ProfileKey, digest: str) -> Reference | None:
        if self._references is None:
            return None
        return self._references.reference(key.model, key.version, digest)

    def _compare(self, subject: Subject, baselines: Sequence[Baseline], *, is_final: bool) -> None:
        if baselines:
            self._compared += 1
            panel = self._new_panel(subject.key, subject.order, baselines)
            subject.compare_with(panel, is_final=is_final)

    def _of_older(self, subject: Subject) -> Sequence[Baseline]:
        """Those of the newest older version that has its own."""
        kin = self._kin.get((subject.key.model, subject.key.slice), ())
        older = [each for each in kin if _is_older(each, subject)]
        if not older:
            return []
        newest = max(older, key=lambda each: each.key.version)
        baselines = newest.panel.baselines if newest.panel else ()
        return baseline_sources.of_older_version(
            newest.key.version, newest.layout, baselines, subject.layout
        )

    def _subject(self, key: ProfileKey, layout: Layout, moment: Moment) -> Subject | None:
        known = self.subjects.get(key)
        if known is None:
            return self._new_subject(key, layout, moment)
        if known.layout != layout and self._is_newer(known, layout, moment):
            self._changed.add(key)  # also where no rows follow: what is stored has the old findings
            return self._begin(key, known.order, layout, moment)
        return known

    def _is_newer(self, known: Subject, layout: Layout, moment: Moment) -> bool:
        """Rows in other bins are taken up if the registry says so, or if no others come any more."""
        if moment.steady_ns - known.seen_ns > SILENT_NS:
            return True
        return bool(layout.reference) and self._reference(known.key, layout.reference) is not None

    def _new_subject(self, key: ProfileKey, layout: Layout, moment: Moment) -> Subject | None:
        needed = needed_bytes(layout)
        if needed > self._free_bytes:
            self._refuse(key)
            return None
        self._free_bytes -= needed
        self.untested.discard(key)
        same = [each.order for each in self.subjects.values() if _are_of_one(each.key, key)]
        return self._begin(key, max(same, default=0) + 1 if key.slice else 0, layout, moment)

    def _begin(self, key: ProfileKey, order: int, layout: Layout, moment: Moment) -> Subject:
        first = FirstRows(moment.steady_ns)
        self.subjects[key] = Subject(key, order, layout, first, seen_ns=moment.steady_ns)
        self._gone.discard(key)
        return self.subjects[key]

    def _refuse(self, key: ProfileKey) -> None:
        if not self.untested:  # one line: there may be thousands
            logger.warning(
                "drift is not looked for: its memory is full (the monitor's setting drift_memory_mb)",
                extra={"model": key.model, "version": key.version, "slice": key.slice},
            )
        if len(self.untested) < MAX_UNTESTED:
            self.untested.add(key)

    def _forget(self, key: ProfileKey) -> None:
        del self.subjects[key]
        self._changed.discard(key)
        self._gone.add(key)

    def _publish(self) -> None:
        found = ranked(self.subjects.values())
        few, others = found[:MAX_WITH_REQUESTS], found[MAX_WITH_REQUESTS:]
        self.findings = (*map(self._with_requests, few), *others)
        self._causes = causes_of(self.subjects.values())

    def _with_requests(self, finding: Finding) -> Finding:
        shown = self.showing(self.subjects[finding.key], finding)
        ids = tuple(dict.fromkeys(each.request_id for each in shown))
        return replace(finding, request_ids=ids) if ids else finding

    def showing(self, subject: Subject, finding: Finding) -> Sequence[Shown]:
        """The newest rows that show a finding."""
        panel = subject.panel
        if panel is None:
            return ()
        aspect = AspectKey(finding.field, finding.aspect)
        baseline, current = panel.rows_since(aspect, finding.since_ns)
        return self.examples.showing(
            subject.key, subject.layout, baseline, current, finding.concern, finding.since_ns
        )

    @property
    def size_bytes(self) -> int:
        """The memory of all subjects."""
        return sum(each.size_bytes for each in self.subjects.values())

    def _new_panel(self, key: ProfileKey, order: int, baselines: Sequence[Baseline]) -> Panel:
        return Panel(key, baselines, margin=self.rules.margin, alpha=self._alpha_of(order))

    def _alpha_of(self, order: int) -> float:
        """Half of it for all rows, the rest for the slices, less for each that comes: 1/4, 1/12, 1/24..."""
        half = self.rules.alpha / 2
        return half / (order * (order + 1)) if order else half


def _by_kin(subjects: Iterable[Subject]) -> Mapping[tuple[str, str], Sequence[Subject]]:
    found: dict[tuple[str, str], list[Subject]] = {}
    for each in subjects:
        found.setdefault((each.key.model, each.key.slice), []).append(each)
    return found


def _are_of_one(one: ProfileKey, other: ProfileKey) -> bool:
    return (one.model, one.version) == (other.model, other.version)


def _is_older(one: Subject, other: Subject) -> bool:
    is_same = (one.key.model, one.key.slice) == (other.key.model, other.key.slice)
    return is_same and one.key.version < other.key.version and not one.first
