"""Where labels are told and quality is asked, for every wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.ingestion.ingestion import Ingestion
from headrace_monitor.domain.quality.figures import QualityFigures, QualityQuery
from headrace_monitor.domain.quality.labels import Label, LabelCounts
from headrace_monitor.domain.quality.quality_book import QualityBook, Totals
from headrace_monitor.domain.quality.questions import Gathered, Gathering, figures_of
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.domain.threads import Result, run_in

DEFAULT_WINDOW_NS = 24 * 3600 * NANOSECONDS

_TOGETHER = 20
"""Stretches whose figures are made in one go: others' questions get their turn in between."""

MAX_LABELS = 10_000
"""In one message: they are joined in 0.1 s, in which no report is taken in."""


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
        self.labelled = asyncio.Event()
        """Set when labels came; whoever waits for it clears it."""

    async def label(self, model: str, labels: Sequence[Label]) -> LabelCounts:
        """Join labels, and tell what came of them once it is stored.

        Raises ResourceExhausted (INTAKE_FULL), and Unavailable where it could not be stored: the same
        labels may be sent again.
        """
        counts = await self._ingestion.apply(lambda: self._book.label(model, labels, self._clock()))
        self.labelled.set()
        return counts

    @property
    def has_answers(self) -> bool:
        """Return whether any answer is counted."""
        return len(self._book.tallies) > 0

    async def ask(self, query: QualityQuery) -> QualityAnswer:
        """Answer a question; its end 0 is now. Raises InvalidArgument (INVALID_QUERY)."""
        gathered, totals = await self.gather(query)
        figures: list[QualityFigures] = []
        for start in range(0, len(gathered), _TOGETHER):
            some = gathered[start : start + _TOGETHER]
            figures += await self.work(lambda some=some: figures_of(some))  # type: ignore[misc]
        return QualityAnswer(figures, totals)

    async def gather(
        self, query: QualityQuery, *, limited: bool = True
    ) -> tuple[list[Gathered], Totals]:
        """Add up what a question is about; unless it is `limited`, of any number of versions."""
        end_ns = query.end_ns or self._clock().now_ns
        asked = replace(query, end_ns=end_ns)
        run = self._ingestion.run_in_thread
        gathering = await run(lambda: Gathering(self._book.tallies, asked, limited=limited))
        while await run(gathering.add_some):
            pass
        return gathering.gathered(), await run(self._book.copied_totals)

    async def work(self, work: Callable[[], Result]) -> Result:
        """Do what takes some time, where questions are answered."""
        return await run_in(self._questions, work)
