"""The noun of answers that a replica tells of, one row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one row of a request; weights are from 0 to 1, None where they are not known."""

    model: str
    version: int
    request_id: str
    row: int
    time_ns: int
    answer: str | float
    """A class, or a number."""
    slices: tuple[str, ...] = ()
    confidence: float | None = None
    score: float | None = None
    """Of two classes, the weight of `positive`."""
    positive: str = ""


@dataclass(frozen=True, slots=True)
class ToldPredictions:
    """What a report has of them."""

    predictions: tuple[Prediction, ...] = ()
    share: float = 0.0
    """The share of requests with an id of which a replica tells, by a hash of the id."""
    dropped: int = 0
    """Answers of that share that it left out."""


NONE_TOLD = ToldPredictions()
