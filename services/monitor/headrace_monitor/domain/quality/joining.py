"""Joins answers with their truth, and counts both in the tallies of their version and slices."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from headrace_monitor.domain.quality.figures import QualityKey
from headrace_monitor.domain.quality.interned import Interned
from headrace_monitor.domain.quality.kept_answers import HAS_TRUTH, IS_NUMBER, KeptAnswers, key_of
from headrace_monitor.domain.quality.labels import Outcome
from headrace_monitor.domain.quality.tallies import Judgement, Tally, bin_of
from headrace_monitor.domain.quality.tallies_by_time import TalliesByTime, TallyKey
from headrace_monitor.domain.quality.tallies_by_time import key_of as tally_key_of
from headrace_monitor.domain.telemetry.prediction import Prediction

MS_NS = 1_000_000


class _Row(NamedTuple):
    """An answer as it lies in the ring, but for its key."""

    version: int
    slices: int
    time_ms: int
    content: float
    truth: float
    told_ms: int
    bin: int
    positive: int
    flags: int

    @property
    def is_number(self) -> bool:
        return bool(self.flags & IS_NUMBER)

    @property
    def has_truth(self) -> bool:
        return bool(self.flags & HAS_TRUTH)


class Joining:
    """Changes answers and tallies together: what is in one is counted in the other."""

    def __init__(self, names: Interned, answers: KeptAnswers, tallies: TalliesByTime) -> None:
        self._names = names
        self._answers = answers
        self._tallies = tallies

    def take(self, version: int, prediction: Prediction, steady_ns: int) -> int:
        """Keep an answer and give its place; of two to the same row the newer is kept."""
        new = self._row(version, prediction)
        key = key_of(prediction.model, prediction.version, prediction.request_id, prediction.row)
        place = self._answers.find(key)
        if place is None:
            place = self._answers.add((key, *new, 0), steady_ns)
            self._count(new, 1, steady_ns)
        else:
            self._replace(place, new, steady_ns)
        return place

    def places(self, model: str, request_id: str, row: int) -> Iterator[int]:
        """Yield the places of the answers to a row: one of each version that answered it."""
        for version in self._names.versions_of(model):
            number = self._names.version_of(version)[1]
            place = self._answers.find(key_of(model, number, request_id, row))
            if place is not None:
                yield place

    def tell(self, place: int, truth: str | float, told_ms: int, steady_ns: int) -> Outcome:
        """Give an answer its truth, unless a later one is known."""
        row = self._row_at(place)
        number = self._truth_number(row, truth)
        if number is None:
            return Outcome.WRONG_KIND
        if not row.has_truth:
            self._set_truth(place, row, number, told_ms, steady_ns)
            return Outcome.JOINED
        if row.truth == number:
            return Outcome.DUPLICATE
        if told_ms < row.told_ms:
            return Outcome.OUTDATED
        self._judge(row, -1, steady_ns)
        self._set_truth(place, row, number, told_ms, steady_ns)
        return Outcome.CORRECTED

    def _replace(self, place: int, new: _Row, steady_ns: int) -> None:
        old = self._row_at(place)
        if new.time_ms <= old.time_ms:
            return
        if old.has_truth:
            self._judge(old, -1, steady_ns)
        self._count(old, -1, steady_ns)
        self._put(place, new)
        self._count(new, 1, steady_ns)
        if old.has_truth and old.is_number == new.is_number:
            self._set_truth(place, new, old.truth, old.told_ms, steady_ns)

    def _set_truth(
        self, place: int, row: _Row, number: float, told_ms: int, steady_ns: int
    ) -> None:
        told = row._replace(truth=number, told_ms=told_ms, flags=row.flags | HAS_TRUTH)
        self._put(place, told)
        self._judge(told, 1, steady_ns)

    def _truth_number(self, row: _Row, truth: str | float) -> float | None:
        if row.is_number:
            return _number(truth)
        return float(self._names.class_number(row.version, _class(truth)))

    def _row(self, version: int, prediction: Prediction) -> _Row:
        """Read an answer; a score or confidence is of a class alone."""
        answer, names = prediction.answer, self._names
        slices, time_ms = names.slices(prediction.slices), prediction.time_ns // MS_NS
        if not isinstance(answer, str):
            return _Row(version, slices, time_ms, answer, 0.0, 0, -1, -1, IS_NUMBER)
        weight = prediction.confidence if prediction.score is None else prediction.score
        place = -1 if weight is None else bin_of(weight)
        has_positive = prediction.score is not None
        positive = names.class_number(version, prediction.positive) if has_positive else -1
        if place >= 0 and not names.agrees(version, positive):
            place = positive = -1
        number = float(names.class_number(version, answer))
        return _Row(version, slices, time_ms, number, 0.0, 0, place, positive, 0)

    def _row_at(self, place: int) -> _Row:
        return _Row(*self._answers.rows[place].item()[1:10])

    def _put(self, place: int, row: _Row) -> None:
        key = int(self._answers.rows[place]["key"])
        self._answers.rows[place] = (key, *row, 0)
        self._answers.touch(place)

    def _count(self, row: _Row, sign: int, steady_ns: int) -> None:
        for _, tally in self._tallies_of(row, sign, steady_ns):
            if row.is_number:
                tally.count_number(sign)
            else:
                name = self._class_name(row, row.content)
                tally.count_class(name, row.bin, self._class_name(row, row.positive), sign)

    def _judge(self, row: _Row, sign: int, steady_ns: int) -> None:
        delay = max(row.told_ms - row.time_ms, 0) / 1e3
        for key, tally in self._tallies_of(row, sign, steady_ns):
            if row.is_number:
                tally.judge_number(row.content - row.truth, delay, sign)
                continue
            judgement = self._judgement(row)
            tally.judge_class(judgement, delay, sign)
            if judgement.bin >= 0:
                event = sign * judgement.is_event
                self._tallies.learn(key, judgement.bin, sign - event, event)

    def _judgement(self, row: _Row) -> Judgement:
        is_right = row.content == row.truth
        return Judgement(
            self._class_name(row, row.content),
            self._class_name(row, row.truth),
            is_right,
            row.truth == row.positive if row.positive >= 0 else is_right,
            row.bin,
        )

    def _class_name(self, row: _Row, number: float) -> str:
        return "" if number < 0 else self._names.class_name(row.version, int(number))

    def _tallies_of(self, row: _Row, sign: int, steady_ns: int) -> Iterator[tuple[TallyKey, Tally]]:
        """Yield those that count an answer; from one that is kept no more, nothing is taken away."""
        model, number = self._names.version_of(row.version)
        for name in ("", *self._names.slices_of(row.slices)):
            key = tally_key_of(QualityKey(model, number, name), row.time_ms * MS_NS)
            tally = self._tallies.at(key, steady_ns) if sign > 0 else self._tallies.find(key)
            if tally is not None:
                yield key, tally


def _class(truth: str | float) -> str:
    """A class that is told as a number is its text: 3 for 3.0, as labels of versions have it."""
    if isinstance(truth, str):
        return truth
    return str(int(truth)) if truth.is_integer() else repr(truth)


def _number(truth: str | float) -> float | None:
    try:
        number = float(truth)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
