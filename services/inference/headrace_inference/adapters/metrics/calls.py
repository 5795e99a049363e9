"""The calls of the gRPC port's other methods: those that infer have statistics of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from headrace.call_metrics import CallMetrics
from headrace_inference.adapters.metrics.text import Family, Kind, label_text


class CallMeter:
    """Reads what was counted whenever a scraper asks."""

    def __init__(self, calls: CallMetrics) -> None:
        self._calls = calls

    def families(self) -> Iterator[Family]:
        """Calls by method and status, their messages, and how long they took."""
        for metric in self._calls.collect():
            suffix = "_total" if metric.type == "counter" else ""
            family = Family(f"{metric.name}{suffix}", cast(Kind, metric.type), metric.documentation)
            family.lines += [
                f"{sample.name}{{{label_text(**sample.labels)}}} {float(sample.value)!r}"
                for sample in metric.samples
            ]
            yield family
