"""Keeps answers that replicas tell of and labels that others tell, stored together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from headrace.telemetry.sampled_ids import is_sampled
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ingestion.books import BookChanges
from headrace_monitor.domain.quality.interned import Interned
from headrace_monitor.domain.quality.joining import MS_NS, Joining
from headrace_monitor.domain.quality.kept_answers import KeptAnswers
from headrace_monitor.domain.quality.labels import Label, LabelCounts, Outcome
from headrace_monitor.domain.quality.tallies_by_time import TalliesByTime, stored_key
from headrace_monitor.domain.quality.waiting_labels import WAIT_NS, WaitingLabel, WaitingLabels
from headrace_monitor.domain.telemetry.prediction import Prediction
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Report

DEFAULT_KEPT = 500_000
"""Answers: 100 MB when all are there, 32 MB in the file."""

DEFAULT_DAYS = 30

_ANSWERS, _WAITING, _TALLIES, _NAMES, _TOTALS = b"a", b"w", b"t", b"n", b"s"


class Totals(msgspec.Struct):
    """What was counted since the monitor's first start."""

    joined: int = 0
    dropped: int = 0
    """Answers that replicas left out."""
    beyond: int = 0
    """Answers of versions beyond the most that are told apart."""
    share: float = 0.0
    """The largest share of requests that a replica told of, in its newest report that had answers."""


class QualityBook:
    """The book of predictions and labels. Everything but `name` is called in one thread."""

    def __init__(self, most: int = DEFAULT_KEPT, days: int = DEFAULT_DAYS) -> None:
        self._kept_ns = days * 24 * 3600 * NANOSECONDS
        self.names = Interned()
        self.answers = KeptAnswers(most)
        self.tallies = TalliesByTime()
        self.waiting = WaitingLabels(max(1, most // 5))
        self._joining = Joining(self.names, self.answers, self.tallies)
        self.totals = Totals()
        self._totals_changed = False

    @property
    def name(self) -> str:
        """The name under which it is stored."""
        return "quality"

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take up what was stored."""
        by_kind: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for key, value in entries:
            by_kind.setdefault(key[:1], []).append((key[1:], value))
        for _, value in by_kind.get(_NAMES, []):
            self.names.restore(value)
        for _, value in by_kind.get(_TOTALS, []):
            self.totals = msgspec.msgpack.decode(value, type=Totals)
        if by_kind.get(_NAMES):  # without names nobody can tell whose the answers are
            self.answers.restore(value for _, value in by_kind.get(_ANSWERS, []))
        self.waiting.restore(
            (int.from_bytes(key, "big"), value) for key, value in by_kind.get(_WAITING, [])
        )
        self.tallies.restore(value for _, value in by_kind.get(_TALLIES, []))

    def merge(self, report: Report, moment: Moment) -> None:
        """Keep the answers of a report, each in place of an older one of the same row."""
        told = report.told
        if told.share and told.share != self.totals.share:
            self.totals.share, self._totals_changed = told.share, True
        if told.dropped:
            self.totals.dropped, self._totals_changed = self.totals.dropped + told.dropped, True
        for prediction in told.predictions:
            self._take(prediction, moment)

    def label(self, model: str, labels: Sequence[Label], moment: Moment) -> LabelCounts:
        """Join labels with what was answered."""
        counts = LabelCounts()
        for label in labels:
            counts.count(self._label(model, label, moment))
        self.totals.joined += counts.joined
        self._totals_changed = self._totals_changed or bool(counts.joined)
        return counts

    def copied_totals(self) -> Totals:
        """Return the totals as they are now, for another thread."""
        return msgspec.structs.replace(self.totals)

    def changes(self, moment: Moment) -> BookChanges:
        """Drop what is too old, and give what differs from what is stored."""
        oldest = moment.steady_ns - self._kept_ns
        self.answers.drop_before(oldest)
        self.tallies.drop_before(oldest)
        self.waiting.drop_before(moment.steady_ns - WAIT_NS)
        return BookChanges(dict(self._entries()), list(self._gone()))

    def mark_stored(self) -> None:
        """All that changed is stored."""
        self.answers.mark_stored()
        self.waiting.mark_stored()
        self.tallies.mark_stored()
        self.names.is_changed = self._totals_changed = False

    def _entries(self) -> Iterator[tuple[bytes, bytes]]:
        for generation, block in self.answers.changed_blocks():
            yield _ANSWERS + generation.to_bytes(8, "big"), block
        for key, label in self.waiting.changed_labels():
            yield _WAITING + key.to_bytes(8, "big"), label
        for stored, tally in self.tallies.changed_tallies():
            yield _TALLIES + stored, tally
        if self.names.is_changed:
            yield _NAMES, self.names.encode()
        if self._totals_changed:
            yield _TOTALS, msgspec.msgpack.encode(self.totals)

    def _gone(self) -> Iterator[bytes]:
        for generation in self.answers.gone:
            yield _ANSWERS + generation.to_bytes(8, "big")
        for key in self.waiting.gone:
            yield _WAITING + key.to_bytes(8, "big")
        for tally in self.tallies.gone:
            yield _TALLIES + stored_key(tally)

    def _take(self, prediction: Prediction, moment: Moment) -> None:
        version = self.names.version(prediction.model, prediction.version)
        if version is None:
            self.totals.beyond, self._totals_changed = self.totals.beyond + 1, True
            return
        place = self._joining.take(version, prediction, moment.steady_ns)
        label = self.waiting.find(prediction.model, prediction.request_id, prediction.row)
        if label is not None:
            outcome = self._joining.tell(place, label.truth, label.told_ms, moment.steady_ns)
            if outcome is Outcome.JOINED:
                self.totals.joined, self._totals_changed = self.totals.joined + 1, True

    def _label(self, model: str, label: Label, moment: Moment) -> Outcome:
        told_ms = (label.time_ns or moment.now_ns) // MS_NS
        outcomes = [
            self._joining.tell(place, label.truth, told_ms, moment.steady_ns)
            for place in self._joining.places(model, label.request_id, label.row)
        ]
        if outcomes:  # a copy of a request has another version's answer: the label is of both
            return min(outcomes, key=_PREFERENCE.index)
        if self.totals.share and not is_sampled(label.request_id, self.totals.share):
            return Outcome.NOT_SAMPLED
        waiting = WaitingLabel(label.truth, told_ms, moment.steady_ns)
        self.waiting.put(model, label.request_id, label.row, waiting)
        return Outcome.UNKNOWN


_PREFERENCE = (
    Outcome.JOINED,
    Outcome.CORRECTED,
    Outcome.DUPLICATE,
    Outcome.OUTDATED,
    Outcome.WRONG_KIND,
)
