"""How soon is a change found, which field is named, and how often is nothing found?

    python -m benchmarks.drift [--quick] [--days 5] [--repeats 5]

50 fields, 600 rows a minute, a reference of 10,000 rows, and the same rows for all methods
(`drift_scenarios.py`): ours as the monitor runs it, Kolmogorov and Smirnov's test each minute at p < 0.01
and corrected for a day's tests, and PSI over thresholds each minute and each hour. Of categories the tests
each minute are chi-square tests. `drift_evidently.py` does the same with evidently.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.special

from benchmarks import drift_scenarios, paces
from benchmarks.drift_scenarios import FIELDS, LABELS, NUMBERS, QUIET_MINUTES, Rows, Scenario
from headrace.data_profiles.binning import count
from headrace.data_profiles.layouts import BinKind, Bins
from headrace.data_profiles.learning import bins_of
from headrace.data_profiles.profiles import AspectKey, ProfileKey
from headrace_monitor.domain.drift.baselines import Baseline, baseline_of
from headrace_monitor.domain.drift.effect_sizes import psi
from headrace_monitor.domain.drift.evidence import STEP_SECONDS
from headrace_monitor.domain.drift.panel import MINUTE_NS, Panel
from headrace_monitor.domain.drift.rankings import worst_first

STEPS_A_MINUTE = 60 // STEP_SECONDS
OURS = "headrace"


@dataclass
class Alarms:
    """Alarms of one method: by field, the minutes."""

    of_field: dict[int, list[float]] = field(default_factory=dict)
    named: int | None = None
    """The field that it names first when the true one is found."""

    def note(self, place: int, minute: float) -> None:
        self.of_field.setdefault(place, []).append(minute)


class Ours:
    """The monitor's panel, fed in steps."""

    def __init__(self, reference: Rows) -> None:
        self.bins = [_bins(place, reference[place]) for place in range(FIELDS)]
        self.baselines: list[Baseline] = [
            baseline_of(AspectKey(f"x{place}", "value"), bins, count(bins, reference[place]))
            for place, bins in enumerate(self.bins)
        ]
        self.panel = Panel(ProfileKey("m", 1), self.baselines, margin=0.01, alpha=0.005)

    def minute(self, minute: int, rows: Rows) -> Iterator[tuple[float, int]]:
        """Take in a minute; give when which field was found."""
        for step, part in enumerate(np.split(rows, STEPS_A_MINUTE, axis=1)):
            before = set(self.panel.open)
            self.panel.step(self._counts(part), (10**6 + minute) * MINUTE_NS)
            for key, _ in set(self.panel.open) - before:
                yield minute + (step + 1) / STEPS_A_MINUTE, int(key.field[1:])

    def named(self) -> int:
        """The field of the worst finding."""
        return int(worst_first(self.panel.open.values())[0].field[1:])

    def _counts(self, rows: Rows) -> np.ndarray:
        counted = (count(bins, rows[place]) for place, bins in enumerate(self.bins))
        return np.concatenate(
            [base.grouped(of) for base, of in zip(self.baselines, counted, strict=True)]
        )


def _bins(place: int, values: Rows) -> Bins:
    if place < NUMBERS:
        return bins_of(values)
    return Bins(BinKind.LABELS, labels=tuple(str(each) for each in np.unique(values).astype(int)))


class EachMinute:
    """Tests of each minute's rows, and PSI of each minute's and each hour's."""

    def __init__(self, reference: Rows) -> None:
        self.reference = np.sort(reference[:NUMBERS], axis=1)
        self.shares = np.array(
            [np.bincount(each.astype(int), minlength=LABELS + 1) for each in reference[NUMBERS:]]
        )
        self.edges = np.quantile(self.reference, np.linspace(0, 1, 11)[1:-1], axis=1).T
        self.deciles = np.array([self._deciles(p, self.reference[p]) for p in range(NUMBERS)])
        self.hour: np.ndarray | None = None

    def minute(self, minute: int, rows: Rows) -> Iterator[tuple[str, int]]:
        """Give which method found which field."""
        p_values = [self._p_value(place, rows[place]) for place in range(FIELDS)]
        for place, p_value in enumerate(p_values):
            if p_value < 0.01:
                yield "a test each minute, p < 0.01", place
            if p_value < 0.01 / FIELDS / 1440:
                yield "the same, corrected", place
        yield from self._psi(minute, rows)

    def _psi(self, minute: int, rows: Rows) -> Iterator[tuple[str, int]]:
        counts = np.array([self._deciles(p, rows[p][np.isfinite(rows[p])]) for p in range(NUMBERS)])
        for place in range(NUMBERS):
            found = psi(self.deciles[place], counts[place], is_ordered=False)
            if found > 0.1:
                yield "PSI > 0.1 each minute", place
        self.hour = counts if self.hour is None else self.hour + counts
        if minute % 60 == 59:
            for place in range(NUMBERS):
                if psi(self.deciles[place], self.hour[place], is_ordered=False) > 0.1:
                    yield "PSI > 0.1 each hour", place
            self.hour = None

    def _deciles(self, place: int, values: Rows) -> np.ndarray:
        return np.bincount(np.searchsorted(self.edges[place], values), minlength=10)

    def _p_value(self, place: int, values: Rows) -> float:
        values = values[np.isfinite(values)]
        if not len(values):
            return 1.0
        if place >= NUMBERS:
            return _chi_square(self.shares[place - NUMBERS], values)
        known = self.reference[place]
        values = np.sort(values)
        at, n, m = np.arange(1, len(values) + 1) / len(values), len(values), len(known)
        high = np.searchsorted(known, values, side="right") / m
        distance = max((at - high).max(), (high - at + 1 / n).max())
        return float(scipy.special.kolmogorov(distance * np.sqrt(n * m / (n + m))))


def _chi_square(reference: np.ndarray, values: Rows) -> float:
    table = np.stack((reference, np.bincount(values.astype(int), minlength=LABELS + 1)))
    table = table[:, table.sum(axis=0) > 0]
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(scipy.special.chdtrc(table.shape[1] - 1, statistic))


METHODS = (
    OURS,
    "a test each minute, p < 0.01",
    "the same, corrected",
    "PSI > 0.1 each minute",
    "PSI > 0.1 each hour",
)


def watch(scenario: Scenario, seed: int) -> Mapping[str, Alarms]:
    """All alarms of all methods over a scenario; until all have found the field, if there is one."""
    alarms = {method: Alarms() for method in METHODS}
    reference = drift_scenarios.reference(seed)
    ours, others = Ours(reference), EachMinute(reference)
    for minute, rows in drift_scenarios.minutes_of(scenario, seed):
        for at, place in ours.minute(minute, rows):
            alarms[OURS].note(place, at)
        if scenario.field in alarms[OURS].of_field and alarms[OURS].named is None:
            alarms[OURS].named = ours.named()
        for method, place in others.minute(minute, rows):
            alarms[method].note(place, minute + 1)
        if minute > 0 and all(_delay(each, scenario.field) for each in alarms.values()):
            break
    return alarms


def _delay(alarms: Alarms, place: int) -> float | None:
    return next((at for at in alarms.of_field.get(place, ()) if at > 0), None)


def quiet(days: float, seed: int) -> Mapping[str, float]:
    """False alarms a day, by method."""
    scenario = Scenario("quiet", -1, None, int(days * 1440))
    alarms = watch(scenario, seed)
    minutes = scenario.minutes + QUIET_MINUTES
    return {
        method: sum(map(len, each.of_field.values())) * 1440 / minutes
        for method, each in alarms.items()
    }


def row_of(scenario: Scenario, repeats: int) -> Sequence[str]:
    """The median delay of each method, its range, and how often ours named the field."""
    runs = [watch(scenario, seed) for seed in range(repeats)]
    cells = [_cell([_delay(run[method], scenario.field) for run in runs]) for method in METHODS]
    named = sum(run[OURS].named == scenario.field for run in runs)
    false = sum(len(run[OURS].of_field) - (scenario.field in run[OURS].of_field) for run in runs)
    return [*cells, f"{named} of {repeats}", str(false)]


def _cell(delays: Sequence[float | None]) -> str:
    found = sorted(each for each in delays if each is not None)
    if len(found) * 2 <= len(delays):
        return "missed" if not found else f"missed by {len(delays) - len(found)} of {len(delays)}"
    text = f"{statistics.median(found):.1f} ({found[0]:.1f} to {found[-1]:.1f})"
    return text if len(found) == len(delays) else f"{text}, missed {len(delays) - len(found)}"


def errors_in_a_slice(seed: int) -> tuple[float | None, bool, int]:
    """When our tests of four slices find the one whose requests fail, whether no other, and which first."""
    bins = Bins(BinKind.LABELS, labels=("answered", "failed"))
    random = np.random.default_rng(seed)
    panels = []
    for place in range(4):
        failed = random.binomial(10_000, 0.002)
        base = baseline_of(
            AspectKey("outcome", "value"), bins, np.array([0, 0, 10_000 - failed, failed, 0])
        )
        alpha = 0.01 / 2 / ((place + 1) * (place + 2))
        panels.append(Panel(ProfileKey("m", 1, f"slice {place}"), [base], margin=0.01, alpha=alpha))
    for minute, counts in drift_scenarios.errors_by_slice(seed, 240):
        for place, panel in enumerate(panels):
            panel.step(np.array([0, 0, *counts[place], 0]), (10**6 + minute) * MINUTE_NS)
        if off := [place for place, panel in enumerate(panels) if panel.open]:
            return minute + 1, off == [3], minute
    return None, False, 0


def main() -> None:
    """Print the tables: what is found in rows, and in run times (`paces.py`)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a day, and each change once")
    parser.add_argument("--days", type=float, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    days, repeats = (0.5, 1) if options.quick else (options.days, options.repeats)
    print(
        f"| minutes to find, of {repeats} | {' | '.join(METHODS)} | ours names it | other fields, ours |"
    )
    print(f"| --- {'| --- ' * (len(METHODS) + 2)}|")
    for scenario in drift_scenarios.SCENARIOS:
        print(f"| {scenario.name} | {' | '.join(row_of(scenario, repeats))} |", flush=True)
    found = [errors_in_a_slice(seed) for seed in range(repeats)]
    right = sum(each[1] for each in found)
    cells = [_cell([each[0] for each in found]), *["-"] * (len(METHODS) - 1)]
    print(
        f"| errors in one of 4 slices, 0.2 → 3 % | {' | '.join(cells)} | {right} of {repeats} | 0 |"
    )
    alarms = quiet(days, 99)
    figures = " | ".join(f"{alarms[method]:.1f}" for method in METHODS)
    print(f"| **false alarms a day**, {days:g} quiet days | {figures} | | |\n")
    paces.print_rows(days, 4 * repeats)


if __name__ == "__main__":
    main()
