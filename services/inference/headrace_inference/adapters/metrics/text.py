"""Prometheus' text format 0.0.4, where names are exact: no suffix is added to a counter's.

Written here, since a replica has thousands of series: a label set is escaped once for all its series, and
a scrape takes a tenth of what prometheus_client's writer takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from headrace.telemetry.histogram import OCTAVES_SECONDS, Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["counter", "gauge", "histogram", "summary"]

_EDGES = tuple(f'{edge:.9g}"}} ' for edge in OCTAVES_SECONDS)
"""The upper edges of the buckets, in seconds, with what closes the labels."""

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def label_text(**labels: str) -> str:
    """Labels as they stand between the braces."""
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())


@dataclass(slots=True)
class Family:
    """A metric with all its series. `labels` of the methods come from `label_text`."""

    name: str
    kind: Kind
    text: str
    lines: list[str] = field(default_factory=list)

    def add(self, value: float, labels: str = "") -> None:
        """One series."""
        self._add("", labels, value)

    def add_histogram(self, histogram: Histogram, labels: str) -> None:
        """The series of a histogram of seconds, with a bucket at every power of two nanoseconds."""
        start = f'{self.name}_bucket{{{labels},le="'
        counts = histogram.octave_counts()
        self.lines += [f"{start}{edge}{count}" for edge, count in zip(_EDGES, counts, strict=True)]
        self.lines.append(f'{start}+Inf"}} {histogram.count}')
        self._add("_sum", labels, histogram.sum_ns / 1e9)
        self._add("_count", labels, histogram.count)

    def add_summary(
        self, quantiles: Sequence[tuple[float, float]], total: Histogram, labels: str
    ) -> None:
        """The series of a summary in microseconds: quantiles of late, count and sum of all."""
        for quantile, value in quantiles:
            self._add("", f'{labels},quantile="{quantile:g}"', value)
        self._add("_sum", labels, total.sum_ns // 1000)
        self._add("_count", labels, total.count)

    def _add(self, suffix: str, labels: str, value: float) -> None:
        braces = f"{{{labels}}}" if labels else ""
        self.lines.append(f"{self.name}{suffix}{braces} {_number(value)}")


def text_of(families: Iterable[Family]) -> bytes:
    """The families that have series, in the format."""
    lines: list[str] = []
    for family in families:
        if family.lines:
            lines.append(f"# HELP {family.name} {family.text}")
            lines.append(f"# TYPE {family.name} {family.kind}")
            lines += family.lines
    return ("\n".join(lines) + "\n").encode()


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(+value)  # of a truth value a number, too
