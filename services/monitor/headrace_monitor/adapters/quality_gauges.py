"""Exports quality to Prometheus: of the last day, of all requests of each version."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from headrace_monitor.domain.quality.figures import ACCURACY, MAE, ROC_AUC, Figure, QualityQuery
from headrace_monitor.domain.quality.quality_desk import (
    DEFAULT_WINDOW_NS,
    QualityAnswer,
    QualityDesk,
)

FRESH_SECONDS = 15.0
"""How often the figures are made anew, if anybody answered or labelled anything."""

_VERSION = ("model", "version")
_SHOWN = {
    ACCURACY: "The share of labelled answers of the last day that are right.",
    ROC_AUC: "The area under the ROC curve of labelled answers of the last day.",
    MAE: "The mean absolute error of labelled answers of the last day.",
}
_PREFIX = "headrace_quality_"


class QualityGauges(Collector):
    """Has what was found last at hand, for scrapes in any thread."""

    def __init__(self, desk: QualityDesk) -> None:
        self._desk = desk
        self._answer: QualityAnswer | None = None

    async def run(self) -> None:
        """Find the figures anew, for ever."""
        query = QualityQuery(DEFAULT_WINDOW_NS, slice="")
        while True:
            if self._desk.has_answers:
                self._answer = await self._desk.ask(query, limited=False)
            await asyncio.sleep(FRESH_SECONDS)

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: what there is depends on what was answered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Every gauge as it was found last, and how many labels were joined."""
        answer = self._answer
        if answer is None:
            return
        for name, text in _SHOWN.items():
            yield from (
                self._gauge(answer, f"{_PREFIX}{name}", text, name, estimated=False),
                self._gauge(
                    answer, f"{_PREFIX}estimated_{name}", f"Estimated: {text}", name, estimated=True
                ),
            )
        yield self._labelled(answer)
        joined = CounterMetricFamily(
            f"{_PREFIX}labels_joined", "Labels that were joined with an answer."
        )
        joined.add_metric((), answer.totals.joined)
        yield joined
        dropped = CounterMetricFamily(
            f"{_PREFIX}dropped_predictions", "Answers that replicas left out of those to be kept."
        )
        dropped.add_metric((), answer.totals.dropped)
        yield dropped

    def _gauge(
        self, answer: QualityAnswer, metric: str, text: str, name: str, *, estimated: bool
    ) -> Metric:
        family = GaugeMetricFamily(metric, text, labels=_VERSION)
        for each in answer.figures:
            found = _first(each.estimates if estimated else each.figures, name)
            if found is not None:
                family.add_metric((each.key.model, str(each.key.version)), found.value)
        return family

    def _labelled(self, answer: QualityAnswer) -> Metric:
        family = GaugeMetricFamily(
            f"{_PREFIX}label_coverage",
            "The share of the kept answers of the last day whose truth is known.",
            labels=_VERSION,
        )
        for each in answer.figures:
            family.add_metric((each.key.model, str(each.key.version)), each.coverage)
        return family


def _first(figures: Iterable[Figure], name: str) -> Figure | None:
    return next((each for each in figures if each.name == name), None)
