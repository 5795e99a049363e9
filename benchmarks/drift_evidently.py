"""What does evidently find in the rows of `drift`, with its defaults, each minute and each hour?

    python -m venv VENV && VENV/bin/pip install "evidently==0.7.23" "pandas<3"    # 1 GB
    DO_NOT_TRACK=1 VENV/bin/python -m benchmarks.drift_evidently [--repeats 2] [--minutes 30] [--hours 4]

It runs in an environment of its own, and needs nothing of this project but the rows. Its defaults compare
a number by the normed Wasserstein distance with 0.1, and a category by Jensen and Shannon's with 0.1,
where the reference has over 1,000 rows. Delays are of the field that changes alone; false alarms are of
all fields.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import drift_scenarios
from benchmarks.drift_scenarios import FIELDS, NUMBERS, QUIET, Rows, Scenario


def _data(rows: Rows, fields: Sequence[int]) -> Any:
    import pandas as pd
    from evidently import DataDefinition, Dataset

    numbers = [place for place in fields if place < NUMBERS]
    others = [place for place in fields if place >= NUMBERS]
    frame = {f"x{place}": rows[place] for place in numbers}
    frame |= {f"x{place}": rows[place].astype(int).astype(str) for place in others}
    return Dataset.from_pandas(
        pd.DataFrame(frame),
        data_definition=DataDefinition(
            numerical_columns=[f"x{place}" for place in numbers],
            categorical_columns=[f"x{place}" for place in others],
        ),
    )


def drifted(reference: Rows, rows: Rows, fields: Sequence[int]) -> int:
    """How many of the fields have drifted, by evidently's defaults."""
    from evidently import Report
    from evidently.metrics import ValueDrift

    report = Report([ValueDrift(column=f"x{place}") for place in fields])
    found = report.run(_data(rows, fields), _data(reference, fields)).dict()["metrics"]
    return sum(float(each["value"]) > each["config"]["threshold"] for each in found)


def windows(scenario: Scenario, seed: int, minutes: int) -> Iterator[tuple[int, Rows]]:
    """Rows of windows of so many minutes from the change on, each with its end."""
    parts: list[Rows] = []
    for minute, rows in drift_scenarios.minutes_of(scenario, seed):
        if minute >= 0:
            parts.append(rows)
        if len(parts) == minutes:
            yield minute + 1, np.concatenate(parts, axis=1)
            parts = []


def delay(scenario: Scenario, seed: int, minutes: int, most: int) -> float | None:
    """Minutes until the field is found, in windows of so many minutes; None within so many windows."""
    reference = drift_scenarios.reference(seed)
    for place, (end, rows) in enumerate(windows(scenario, seed, minutes)):
        if place >= most:
            return None
        try:
            if drifted(reference, rows, [scenario.field]):
                return end
        except ValueError as error:  # a field without a value
            print(f"  (evidently refused: {str(error)[:80]})")
            return None
    return None


def false_alarms_a_day(minutes: int, count: int) -> float:
    """Of all fields in quiet windows."""
    quiet = Scenario(QUIET.name, QUIET.field, QUIET.change, minutes * count)
    reference = drift_scenarios.reference(99)
    found = [drifted(reference, rows, range(FIELDS)) for _, rows in windows(quiet, 99, minutes)]
    return sum(found) * 1440 / (minutes * count)


def _cell(delays: Sequence[float | None]) -> str:
    found = [each for each in delays if each is not None]
    if not found:
        return "missed"
    missed = f", missed {len(delays) - len(found)}" if len(found) < len(delays) else ""
    return f"{statistics.median(found):.0f}{missed}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--minutes", type=int, default=30, help="windows of a minute, at most")
    parser.add_argument("--hours", type=int, default=4, help="windows of an hour, at most")
    options = parser.parse_args()
    print("| minutes to find | evidently each minute | evidently each hour |\n| --- | --- | --- |")
    for scenario in drift_scenarios.SCENARIOS:
        cells = [
            _cell([delay(scenario, seed, size, most) for seed in range(options.repeats)])
            for size, most in ((1, options.minutes), (60, options.hours))
        ]
        print(f"| {scenario.name} | {' | '.join(cells)} |", flush=True)
    began = time.perf_counter()
    alarms = false_alarms_a_day(1, 10), false_alarms_a_day(60, 3)
    seconds = (time.perf_counter() - began) / 13
    print(f"| **false alarms a day** | {alarms[0]:.0f} | {alarms[1]:.0f} |")
    print(f"{seconds:.1f} s for a comparison of {FIELDS} fields")


if __name__ == "__main__":
    main()
