"""What was counted of answers and their truth: it adds up over time, so that long windows are cheap."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import msgspec

BINS = 1_000
"""Of scores and confidences: each is known to a thousandth."""

_Key = TypeVar("_Key", str, int)

OTHER = "_other"
"""The class as which those beyond a version's limit are counted."""


class Judgement(NamedTuple):
    """A class that was answered, beside the true one."""

    predicted: str
    truth: str
    """Both as they are told apart here: those beyond a limit are `_other`."""
    is_right: bool
    is_event: bool
    """Whether the positive class is the truth; where none is positive, whether the answer is right."""
    bin: int = -1
    """Of the score of the positive class, or where there is none, of the confidence; -1 for neither."""


def bin_of(weight: float) -> int:
    """Return the bin of a weight from 0 to 1."""
    return min(max(int(weight * BINS), 0), BINS - 1)


class Sums(msgspec.Struct):
    """Sums of errors of numbers: of the error, its absolute, its square and the square's square."""

    error: float = 0.0
    absolute: float = 0.0
    square: float = 0.0
    fourth: float = 0.0

    def count(self, error: float, sign: int) -> None:
        """Add one error, or take it away."""
        self.error += sign * error
        self.absolute += sign * abs(error)
        self.square += sign * error * error
        self.fourth += sign * error**4

    def add(self, other: Sums) -> None:
        """Add others."""
        self.error += other.error
        self.absolute += other.absolute
        self.square += other.square
        self.fourth += other.fourth


class Tally(msgspec.Struct):
    """Counts of a version's answers in a stretch of time, and of those whose truth is known."""

    predictions: int = 0
    labelled: int = 0
    correct: int = 0
    """Of classes; exact, whatever is counted as `_other`."""
    delay_seconds: float = 0.0
    """Of all that are labelled together."""
    positive: str = ""
    confusion: dict[str, dict[str, int]] = {}
    """By the class answered, then by the true one."""
    seen: dict[str, dict[int, int]] = {}
    """All answers, by class and bin."""
    judged: dict[int, tuple[int, int]] = {}
    """Those whose truth is known, by bin: how often the positive class was not the truth, and was; where no
    class is positive, how often the answer was wrong, and right."""
    numbers: int = 0
    """Those of `labelled` that are numbers."""
    sums: Sums = msgspec.field(default_factory=Sums)

    def count_class(self, name: str, place: int, positive: str, sign: int = 1) -> None:
        """Count an answer with a class, in this bin, or take it away."""
        self.predictions += sign
        if place >= 0:
            self.positive = positive
            _count(self.seen.setdefault(name, {}), place, sign)

    def count_number(self, sign: int = 1) -> None:
        """Count an answer with a number, or take it away."""
        self.predictions += sign

    def judge_class(self, judgement: Judgement, delay: float, sign: int = 1) -> None:
        """Count the truth of a class, or take it away."""
        self._judge(delay, sign)
        self.correct += sign * judgement.is_right
        _count(self.confusion.setdefault(judgement.predicted, {}), judgement.truth, sign)
        if judgement.bin >= 0:
            no, yes = self.judged.get(judgement.bin, (0, 0))
            event = sign * judgement.is_event
            self.judged[judgement.bin] = (no + sign - event, yes + event)

    def judge_number(self, error: float, delay: float, sign: int = 1) -> None:
        """Count the truth of a number, or take it away."""
        self._judge(delay, sign)
        self.numbers += sign
        if self.numbers:
            self.sums.count(_bounded(error), sign)
        else:  # what was added and taken away again leaves no rounding behind
            self.sums = Sums()

    def _judge(self, delay: float, sign: int) -> None:
        self.labelled += sign
        self.delay_seconds = self.delay_seconds + sign * delay if self.labelled else 0.0

    def add(self, other: Tally) -> None:
        """Add another's counts."""
        self.predictions += other.predictions
        self.labelled += other.labelled
        self.correct += other.correct
        self.delay_seconds += other.delay_seconds
        self.positive = other.positive or self.positive
        self.numbers += other.numbers
        self.sums.add(other.sums)
        for predicted, truths in other.confusion.items():
            _add(self.confusion.setdefault(predicted, {}), truths)
        for predicted, bins in other.seen.items():
            _add(self.seen.setdefault(predicted, {}), bins)
        for place, (no, yes) in other.judged.items():
            old_no, old_yes = self.judged.get(place, (0, 0))
            self.judged[place] = (old_no + no, old_yes + yes)

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is counted."""
        return not (self.predictions or self.labelled)


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    summed = Tally()
    for tally in tallies:
        summed.add(tally)
    return summed


MAX_ERROR = 1e75
"""An error that is larger, or no number, counts as this: its fourth power can still be added up."""


def _bounded(error: float) -> float:
    if math.isnan(error):
        return MAX_ERROR
    return min(max(error, -MAX_ERROR), MAX_ERROR)


def _count(counts: dict[_Key, int], key: _Key, sign: int) -> None:
    count = counts.get(key, 0) + sign
    if count:
        counts[key] = count
    else:
        counts.pop(key, None)


def _add(counts: dict[_Key, int], others: dict[_Key, int]) -> None:
    for key, count in others.items():
        counts[key] = counts.get(key, 0) + count
