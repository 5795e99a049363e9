"""Books of quality with answers and labels in them, stored and opened again as the monitor does it."""

from __future__ import annotations

from collections.abc import Sequence

from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.quality.figures import QualityFigures, QualityQuery
from headrace_monitor.domain.quality.labels import Label, LabelCounts
from headrace_monitor.domain.quality.quality_book import QualityBook
from headrace_monitor.domain.quality.questions import figures_of, gather
from headrace_monitor.domain.telemetry.prediction import Prediction, ToldPredictions
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Report

NOW_NS = 1_700_000_000 * NANOSECONDS
DAY_NS = 24 * 3600 * NANOSECONDS


class StoredBook:
    """A book, beside the entries that its store has of it."""

    def __init__(self, most: int = 10_000, days: int = 30) -> None:
        self.book = QualityBook(most, days)
        self._made = most, days
        self.entries: dict[bytes, bytes] = {}
        self.moment = Moment(NOW_NS, NOW_NS)

    def tell(self, *predictions: Prediction, share: float = 1.0, dropped: int = 0) -> None:
        """A report with answers comes, and is stored."""
        told = ToldPredictions(predictions, share, dropped)
        self.book.merge(Report("a", "boot", 1, 1, 2, told=told), self.moment)
        self._store()

    def label(self, *labels: Label, model: str = "digits") -> LabelCounts:
        """Labels come, and are stored."""
        counts = self.book.label(model, labels, self.moment)
        self._store()
        return counts

    def reopen(self) -> None:
        """The monitor starts anew with what was stored."""
        self.book = QualityBook(*self._made)
        self.book.restore(list(self.entries.items()))

    def pass_by(self, length_ns: int) -> None:
        """Time passes."""
        self.moment = Moment(self.moment.now_ns + length_ns, self.moment.steady_ns + length_ns)
        self._store()

    def _store(self) -> None:
        changes = self.book.changes(self.moment)
        for key in changes.gone:
            self.entries.pop(key, None)
        self.entries.update(changes.entries)
        self.book.mark_stored()

    def ask(self, window_ns: int = DAY_NS, step_ns: int = 0) -> Sequence[QualityFigures]:
        """The figures of a window that ends now."""
        query = QualityQuery(window_ns, self.moment.now_ns, step_ns)
        return figures_of(gather(self.book.tallies, query))


def answer(
    number: int,
    content: str | float,
    *,
    score: float | None = None,
    confidence: float | None = None,
    version: int = 1,
    slices: tuple[str, ...] = (),
    time_ns: int = NOW_NS,
) -> Prediction:
    """The answer to request `order-<number>`."""
    return Prediction(
        "digits",
        version,
        f"order-{number}",
        0,
        time_ns,
        content,
        slices,
        confidence,
        score,
        "" if score is None else "yes",
    )


def label(number: int, truth: str | float, time_ns: int = 0) -> Label:
    """The truth about request `order-<number>`."""
    return Label(f"order-{number}", truth, 0, time_ns)
