"""Exports quality to Prometheus: of the last day, of all requests of each version."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from headrace_monitor.domain.quality.figures import ACCURACY, MAE, ROC_AUC, Figure, QualityFigures
from headrace_monitor.domain.quality.latest import LastDay, LatestQuality

_VERSION = ("model", "version")
_SHOWN = {
    ACCURACY: "The share of labelled answers of the last day that are right.",
    ROC_AUC: "The area under the ROC curve of labelled answers of the last day.",
    MAE: "The mean absolute error of labelled answers of the last day.",
}
_PREFIX = "headrace_quality_"


class QualityGauges(Collector):
    """Has what was found last at hand, for scrapes in any thread."""

    def __init__(self, latest: LatestQuality) -> None:
        self._latest = latest

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: what there is depends on what was answered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Every gauge as it was found last, and how many labels were joined."""
        answer = self._latest.last_day
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
        self, answer: LastDay, metric: str, text: str, name: str, *, estimated: bool
    ) -> Metric:
        family = GaugeMetricFamily(metric, text, labels=_VERSION)
        for each in _of_all(answer):
            found = _first(each.estimates if estimated else each.figures, name)
            if found is not None:
                family.add_metric((each.key.model, str(each.key.version)), found.value)
        return family

    def _labelled(self, answer: LastDay) -> Metric:
        family = GaugeMetricFamily(
            f"{_PREFIX}label_coverage",
            "The share of the kept answers of the last day whose truth is known.",
            labels=_VERSION,
        )
        for each in _of_all(answer):
            family.add_metric((each.key.model, str(each.key.version)), each.coverage)
        return family


def _of_all(answer: LastDay) -> list[QualityFigures]:
    return [each for each in answer.figures if not each.key.slice]


def _first(figures: Iterable[Figure], name: str) -> Figure | None:
    return next((each for each in figures if each.name == name), None)
