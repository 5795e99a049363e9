"""Adapts prometheus_client's collectors to the families of this port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from prometheus_client.registry import Collector

from headrace_inference.adapters.metrics.text import Family, Kind, label_text


class CollectorMeter:
    """Reads collectors whenever a scraper asks."""

    def __init__(self, *collectors: Collector) -> None:
        self._collectors = collectors

    def families(self) -> Iterator[Family]:
        """Every metric of theirs, as it is now."""
        for collector in self._collectors:
            for metric in collector.collect():
                suffix = "_total" if metric.type == "counter" else ""
                kind = cast(Kind, metric.type)
                family = Family(f"{metric.name}{suffix}", kind, metric.documentation)
                for sample in metric.samples:
                    labels = label_text(**sample.labels)
                    braces = f"{{{labels}}}" if labels else ""
                    family.lines.append(f"{sample.name}{braces} {float(sample.value)!r}")
                yield family
