"""How soon is a version found that takes longer than it did, and how often one that does not?

    python -m benchmarks.paces [--quick] [--days 5] [--repeats 20]

Minutes of run times as machines have them: log-normal, off by 3 to 5 % from one minute to the next minutes'
mean, each like the one before by 0.5 to 0.9. The load goes up and down fourfold with the time of day, and
run times with it, by 25 %; two days are quiet before each change. `benchmarks.drift` prints its rows.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from headrace_monitor.domain.drift.pace import MINUTES_A_DAY, Load, Pace

MARGIN, ALPHA = 0.05, 0.005
MEDIAN, TAIL = 0, 1
QUIET_DAYS = 2


@dataclass(frozen=True)
class Change:
    """What happens after the quiet days: how many times as long the median and the tail take."""

    name: str
    median: float = 1.0
    tail: float = 1.0
    wander: float = 0.0
    """By how much the machine's speed wanders over hours, all the time."""


QUIET = (
    Change("daily load"),
    Change("daily load, and speed that wanders by 3 % over 3 hours", wander=0.03),
)
WANDERS_MINUTES = 180
CHANGES = (
    Change("10 % slower", 1.1, 1.1),
    Change("30 % slower", 1.3, 1.3),
    Change("only the tail 30 % slower", 1.0, 1.3),
)


def minutes_of(
    seed: int, minutes: int, change: Change = Change(""), begins: int = 0
) -> Iterator[tuple[int, Load, tuple[float, float]]]:
    """Minutes, their load, and the median and the 90 % quantile of run times in seconds."""
    random = np.random.default_rng(seed)
    deviations = random.uniform(0.03, 0.05, 2)
    alike = random.uniform(0.5, 0.9)
    noise = random.normal(0, deviations)
    phase = random.uniform(0, MINUTES_A_DAY)
    wandered = 0.0
    for minute in range(minutes):
        day = math.sin(2 * math.pi * (minute + phase) / MINUTES_A_DAY)
        rate = float(random.poisson(1200 * 2.0**day))
        rows = 1 + 1.5 * (1 + day) / 2 + random.normal(0, 0.03)
        noise = alike * noise + random.normal(0, deviations * math.sqrt(1 - alike**2))
        usual = 0.002 * (1 + 0.125 * day)
        if change.wander:
            wandered = _after(wandered, change.wander, random)
            usual *= math.exp(wandered)
        slower = (change.median, change.tail) if minute >= begins else (1.0, 1.0)
        tail = 1.6 * usual * slower[TAIL] * math.exp(noise[TAIL] * 0.6 + noise[MEDIAN] * 0.8)
        median = usual * slower[MEDIAN] * math.exp(noise[MEDIAN])
        yield minute, Load.of(rate, rows), (median, tail)


def _after(wandered: float, wander: float, random: np.random.Generator) -> float:
    alike = math.exp(-1 / WANDERS_MINUTES)
    return alike * wandered + float(random.normal(0, wander * math.sqrt(1 - alike**2)))


@dataclass
class Outcome:
    """What was found in a run."""

    false: int = 0
    delay: float | None = None
    named: int | None = None
    ratio: float = 1.0


def watch(seed: int, change: Change, days: float) -> Outcome:
    """Run through the quiet days, and then the change, or as many quiet days as asked for."""
    paces = [Pace(margin=MARGIN, alpha=ALPHA) for _ in range(2)]
    is_quiet = change.median == change.tail == 1.0
    begins = QUIET_DAYS * MINUTES_A_DAY
    found, was = Outcome(), [False, False]
    end = int(days * MINUTES_A_DAY) if is_quiet else begins + 600
    for minute, load, values in minutes_of(seed, end, change, begins):
        for place, pace in enumerate(paces):
            pace.step(minute, load, values[place])
            slowdown = pace.slowdown
            if slowdown is not None and not was[place]:
                if is_quiet or minute < begins:
                    found.false += 1
                else:
                    return Outcome(found.false, minute + 1 - begins, place, slowdown.ratio)
            was[place] = slowdown is not None
    return found


def rows(days: float, repeats: int) -> Iterator[str]:
    """The rows of the table."""
    for change in CHANGES:
        runs = [watch(10_000 + seed, change, 0) for seed in range(repeats)]
        delays = sorted(run.delay for run in runs if run.delay is not None)
        text = (
            f"{statistics.median(delays):.0f} ({delays[0]:.0f} to {delays[-1]:.0f})"
            if delays
            else "-"
        )
        missed = f", missed by {repeats - len(delays)} of {repeats} in 10 h"
        ratios = [run.ratio for run in runs if run.delay is not None]
        said = f"{statistics.median(ratios):.2f}" if ratios else "-"
        false = sum(run.false for run in runs)
        yield (
            f"| {change.name} | {text}{missed if len(delays) < repeats else ''} | {said} | "
            f"{false} in {QUIET_DAYS * repeats} days before |"
        )
    for quiet in QUIET:
        alarms = sum(watch(20_000 + seed, quiet, days).false for seed in range(repeats))
        yield (
            f"| {quiet.name}, {repeats} x {days:g} quiet days | - | - | "
            f"**{alarms / days / repeats:.3f} a day** |"
        )


def print_rows(days: float, repeats: int) -> None:
    """Print the table."""
    print(f"| minutes to find, of {repeats} | headrace | ratio said | false alarms |")
    print("| --- | --- | --- | --- |")
    for row in rows(days, repeats):
        print(row, flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each change twice")
    parser.add_argument("--days", type=float, default=5)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    print_rows(options.days, 2 if options.quick else options.repeats)


if __name__ == "__main__":
    main()
