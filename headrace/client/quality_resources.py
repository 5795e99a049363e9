"""What the client takes and hands out of labels and quality."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about one row of a request. A class may be told as a whole number, a number as text."""

    id: str
    """The id of the request."""
    truth: str | float
    row: int = 0
    time: float | None = None
    """Seconds since the epoch when it became known: of two that differ the later one counts. None: now."""


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What came of labels."""

    joined: int = 0
    """They belong to an answer, and were not told before."""
    duplicates: int = 0
    """The same was told before."""
    corrected: int = 0
    """They differ from what was told before, and count instead."""
    outdated: int = 0
    """They differ from what was told before with a later time, and do not count."""
    not_sampled: int = 0
    """Their requests are not in the sample: the answers were never kept."""
    unknown: int = 0
    """No kept answer is of their requests; they wait a day for one."""
    wrong_kind: int = 0
    """They are no number, where the answer is one."""


@dataclass(frozen=True, slots=True)
class QualityFigure:
    """One figure, with the interval in which the true one is at 95 %."""

    name: str
    of: str
    """The class that it is about; '' for all."""
    value: float
    low: float
    high: float
    count: int
    """The rows that it is of."""
    estimated: bool
    """Whether it was estimated, without truth."""


@dataclass(frozen=True, slots=True)
class ConfusionCount:
    """How often a class was answered where another, or the same, was true."""

    predicted: str
    truth: str
    count: int


@dataclass(frozen=True, slots=True)
class VersionQuality:
    """How good the answers of one version were in one stretch of time; the time is that of the answers."""

    model: str
    version: int
    slice: str
    """'' for all requests."""
    start_at: float
    """Seconds since the epoch."""
    end_at: float
    predictions: int
    """Rows whose answers were kept."""
    labelled: int
    """Those of them whose truth is known."""
    delay_seconds: float
    """From answer to truth, on the mean."""
    figures: tuple[QualityFigure, ...]
    estimates: tuple[QualityFigure, ...]
    confusion: tuple[ConfusionCount, ...]
    notes: tuple[str, ...]

    def figure(self, name: str, of: str = "", *, estimated: bool = False) -> QualityFigure | None:
        """Return a figure by its name and class; None where there is none."""
        among = self.estimates if estimated else self.figures
        return next((each for each in among if (each.name, each.of) == (name, of)), None)


@dataclass(frozen=True, slots=True)
class QualityAnswer:
    """How good answers were, by version, slice and time."""

    qualities: tuple[VersionQuality, ...]
    sampled_share: float
    """The share of the requests with an id whose answers are kept."""
    dropped_predictions: int
    """Answers that replicas left out: more came in a second than are kept."""
