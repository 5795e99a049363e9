"""Rows of 50 fields with a change that is known: what detectors of drift are compared on.

It needs numpy alone, so that detectors in other environments see the same rows. 44 fields are normal
(mean 0, deviation 1), 5 are categories of 8 labels, and the last is the class that a model answered, of 4.
Missing numbers are NaN, missing categories -1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NUMBERS, CATEGORIES, LABELS, CLASSES = 44, 5, 8, 4
FIELDS = NUMBERS + CATEGORIES + 1
ROWS_A_MINUTE = 600
REFERENCE_ROWS = 10_000
QUIET_MINUTES = 30
"""Before each change."""

_SHARES = np.array([0.3, 0.2, 0.15, 0.12, 0.1, 0.07, 0.04, 0.02])
_CLASSES = np.array([0.4, 0.3, 0.2, 0.1])

Rows = npt.NDArray[np.float64]
"""[fields, rows]."""
Change = Callable[[Rows, float, np.random.Generator], None]
"""Changes rows in place, given the minutes since the change began."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A change in one field."""

    name: str
    field: int
    change: Change | None
    minutes: int = 360


def draw(random: np.random.Generator, rows: int) -> Rows:
    """Rows as all is well."""
    numbers = random.normal(size=(NUMBERS, rows))
    labels = random.choice(LABELS, (CATEGORIES, rows), p=_SHARES)
    classes = random.choice(CLASSES, (1, rows), p=_CLASSES)
    return np.concatenate((numbers, labels, classes))


def reference(seed: int) -> Rows:
    """The reference's rows."""
    return draw(np.random.default_rng(seed), REFERENCE_ROWS)


def minutes_of(scenario: Scenario, seed: int) -> Iterator[tuple[int, Rows]]:
    """Minutes since the change began, negative before it, each with its rows."""
    random = np.random.default_rng(seed + 1000)
    for minute in range(-QUIET_MINUTES, scenario.minutes):
        rows = draw(random, ROWS_A_MINUTE)
        if minute >= 0 and scenario.change is not None:
            scenario.change(rows, minute, random)
        yield minute, rows


def _shift(field: int, size: float) -> Change:
    def change(rows: Rows, minute: float, random: np.random.Generator) -> None:
        rows[field] += size

    return change


def _ramp(rows: Rows, minute: float, random: np.random.Generator) -> None:
    rows[7] += 0.5 * min(1.0, minute / 240)


def _season(rows: Rows, minute: float, random: np.random.Generator) -> None:
    rows[7] += 0.5 * np.sin(2 * np.pi * minute / 1440)


def _wider(rows: Rows, minute: float, random: np.random.Generator) -> None:
    rows[7] *= 1.3


def _label_shift(rows: Rows, minute: float, random: np.random.Generator) -> None:
    rows[FIELDS - 1] = random.choice(CLASSES, rows.shape[1], p=[0.3, 0.3, 0.2, 0.2])


def _new_label(rows: Rows, minute: float, random: np.random.Generator) -> None:
    rows[NUMBERS][random.random(rows.shape[1]) < 0.05] = LABELS


def _lost(share: float) -> Change:
    def change(rows: Rows, minute: float, random: np.random.Generator) -> None:
        rows[7][random.random(rows.shape[1]) < share] = np.nan

    return change


QUIET = Scenario("quiet", -1, None)

SCENARIOS: Sequence[Scenario] = (
    Scenario("sudden, 1 deviation", 7, _shift(7, 1.0)),
    Scenario("sudden, 0.5 deviations", 7, _shift(7, 0.5)),
    Scenario("sudden, 0.25 deviations", 7, _shift(7, 0.25)),
    Scenario("sudden, 0.1 deviations", 7, _shift(7, 0.1)),
    Scenario("gradual, to 0.5 in 4 h", 7, _ramp),
    Scenario("seasonal, 0.5 over a day", 7, _season),
    Scenario("30 % wider, mean as it was", 7, _wider),
    Scenario("label shift, 0.1 → 0.2", FIELDS - 1, _label_shift),
    Scenario("a new category, 5 %", NUMBERS, _new_label),
    Scenario("a field gone missing", 7, _lost(1.0)),
    Scenario("5 % of a field missing", 7, _lost(0.05)),
)


def errors_by_slice(
    seed: int, minutes: int, slices: int = 4
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Minutes with [slice, (answered, failed)] of 150 requests each; from minute 0 on, 3 % of the last
    slice fail instead of 0.2 %."""
    random = np.random.default_rng(seed + 2000)
    for minute in range(-QUIET_MINUTES, minutes):
        shares = np.full(slices, 0.002)
        if minute >= 0:
            shares[-1] = 0.03
        failed = random.binomial(ROWS_A_MINUTE // slices, shares)
        yield minute, np.stack((ROWS_A_MINUTE // slices - failed, failed), axis=1)
