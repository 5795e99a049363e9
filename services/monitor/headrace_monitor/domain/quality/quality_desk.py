"""Where labels are told and quality is asked, for every wire."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.ingestion.ingestion import Ingestion
from headrace_monitor.domain.quality.figures import QualityFigures, QualityQuery
from headrace_monitor.domain.quality.labels import Label, LabelCounts
from headrace_monitor.domain.quality.quality_book import QualityBook, Totals
from headrace_monitor.domain.quality.questions import figures_of, gather
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.domain.threads import run_in

DEFAULT_WINDOW_NS = 24 * 3600 * NANOSECONDS

MAX_LABELS = 10_000
"""In one message: they are joined in 0.2 s, in which no report is taken in."""


@dataclass(frozen=True, slots=True)
class QualityAnswer:
    """How good answers were, and what was counted of the sample."""

    figures: Sequence[QualityFigures]
    totals: Totals


class QualityDesk:
    """Takes labels and questions; the book changes in the thread of the reports alone."""

    def __init__(
        self, book: QualityBook, ingestion: Ingestion, clock: Clock, questions: Executor | None
    ) -> None:
        self._book = book
        self._ingestion = ingestion
        self._clock = clock
        self._questions = questions

    async def label(self, model: str, labels: Sequence[Label]) -> LabelCounts:
        """Join labels, and tell what came of them once it is stored.

        Raises ResourceExhausted (INTAKE_FULL), and Unavailable where it could not be stored: the same
        labels may be sent again.
        """
        return await self._ingestion.apply(lambda: self._book.label(model, labels, self._clock()))

    @property
    def has_answers(self) -> bool:
        """Return whether any answer was ever counted."""
        return len(self._book.tallies) > 0

    async def ask(self, query: QualityQuery, *, limited: bool = True) -> QualityAnswer:
        """Answer a question; its end 0 is now. Raises InvalidArgument (INVALID_QUERY).

        Unless it is `limited`, the answer may be of any number of versions.
        """
        if not query.end_ns:
            query = replace(query, end_ns=self._clock().now_ns)
        gathered, totals = await self._ingestion.run_in_thread(
            lambda: (gather(self._book.tallies, query, limited=limited), self._book.copied_totals())
        )
        return QualityAnswer(await run_in(self._questions, lambda: figures_of(gathered)), totals)
