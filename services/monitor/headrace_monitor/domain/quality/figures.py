"""The nouns of quality: what is asked, and the figures that are answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

ACCURACY = "accuracy"
PRECISION, RECALL, F1 = "precision", "recall", "f1"
MACRO, WEIGHTED = "_macro", "_weighted"
"""Behind a name: the mean over classes, and that by how often each class is the truth."""
ROC_AUC = "roc_auc"
MSE, RMSE, MAE, BIAS = "mse", "rmse", "mae", "bias"


@dataclass(frozen=True, slots=True)
class QualityKey:
    """Whose answers: a version's, of all requests or of those of a slice."""

    model: str
    version: int
    slice: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure with its interval, in which the true one is at 95 %."""

    name: str
    value: float
    low: float
    high: float
    count: int
    """The rows that it is of."""
    of: str = ""
    """The class that it is about; '' for all."""
    estimated: bool = False
    """True where no truth was known: it follows from how sure the version was of its answers."""


@dataclass(frozen=True, slots=True)
class ConfusionCount:
    """How often a class was answered where another, or the same, was true."""

    predicted: str
    truth: str
    count: int


@dataclass(frozen=True, slots=True)
class QualityFigures:
    """How good a version's answers of a stretch of time were; the time is that of the answer."""

    key: QualityKey
    start_ns: int
    end_ns: int
    predictions: int
    """Rows whose answers were kept: a sample of those of requests that have an id."""
    labelled: int
    """Those of them whose truth is known."""
    delay_seconds: float
    """The mean time from an answer to its truth; 0 where none is known."""
    figures: tuple[Figure, ...] = ()
    estimates: tuple[Figure, ...] = ()
    confusion: tuple[ConfusionCount, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader has to know: a small or old calibration, classes counted together."""

    @property
    def coverage(self) -> float:
        """Return the share of the kept answers whose truth is known."""
        return self.labelled / self.predictions if self.predictions else 0.0

    def figure(self, name: str, of: str = "") -> Figure | None:
        """Return what was measured; None where it was not."""
        return _named(self.figures, name, of)

    def estimate(self, name: str, of: str = "") -> Figure | None:
        """Return what was estimated; None where it was not."""
        return _named(self.estimates, name, of)


@dataclass(frozen=True, slots=True)
class QualityQuery:
    """What is asked: of models, versions and slices ('' and 0: of all), in a stretch of time."""

    window_ns: int
    end_ns: int = 0
    """0 for now."""
    step_ns: int = 0
    """The length of each stretch that is answered apart; 0 for the whole window at once."""
    model: str = ""
    version: int = 0
    slice: str | None = None
    """None for all, '' for all requests alone."""
    is_seen: Callable[[str], bool] = lambda _: True
    """Says of a model whether the caller may see it."""


def _named(figures: tuple[Figure, ...], name: str, of: str) -> Figure | None:
    return next((each for each in figures if (each.name, each.of) == (name, of)), None)
