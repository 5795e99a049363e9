"""How far are estimates of quality without labels from what the labels say later?

    pip download --no-deps nannyml
    python -m benchmarks.quality_estimates nannyml-*.whl

Census employment data of Massachusetts, which that wheel brings (nothing of it is run): the calibration is
learnt from 2015, and each chunk of 5,000 rows of 2016 to 2018 is estimated before its labels are looked at.
Beside it, what one gets who assumes that all is as it was in 2015. Needs pyarrow.
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from headrace_monitor.domain.quality.classification import class_figures
from headrace_monitor.domain.quality.estimates import Calibration, calibrate, estimated_figures
from headrace_monitor.domain.quality.figures import ACCURACY, F1, PRECISION, RECALL, ROC_AUC, Figure
from headrace_monitor.domain.quality.tallies import Judgement, Tally, bin_of

CHUNK = 5_000
POSITIVE = "1"
FIGURES = (
    (ACCURACY, ""),
    (PRECISION, POSITIVE),
    (RECALL, POSITIVE),
    (F1, POSITIVE),
    (ROC_AUC, POSITIVE),
)

Row = tuple[str, float, str]
"""The class answered, the score of the positive one, and the truth."""


def rows_of(wheel: Path) -> tuple[list[Row], list[Row]]:
    """Those of 2015, and those after."""
    import pyarrow.parquet as parquet

    def columns(name: str) -> dict[str, list[Any]]:
        with zipfile.ZipFile(wheel) as files:
            data = files.read(f"nannyml/datasets/data/employment_MA_{name}.pq")
        found: dict[str, list[Any]] = parquet.read_table(io.BytesIO(data)).to_pydict()
        return found

    def rows(answers: dict[str, list[Any]], truth: Iterable[int]) -> list[Row]:
        given = zip(answers["prediction"], answers["predicted_probability"], truth, strict=True)
        return [(str(answer), score, str(true)) for answer, score, true in given]

    reference, later = columns("reference"), columns("analysis")
    targets = columns("analysis_target")
    by_id = dict(zip(targets["id"], targets["employed"], strict=True))
    return rows(reference, reference["employed"]), rows(
        later, [by_id[each] for each in later["id"]]
    )


def tally_of(rows: Iterable[Row]) -> Tally:
    """What a monitor counts of them."""
    tally = Tally()
    for answer, score, truth in rows:
        place = bin_of(score)
        tally.count_class(answer, place, POSITIVE)
        judgement = Judgement(answer, truth, answer == truth, truth == POSITIVE, place)
        tally.judge_class(judgement, 0.0)
    return tally


def errors_of(
    rows: list[Row], calibration: Calibration, before: dict[tuple[str, str], Figure]
) -> Iterator[dict[tuple[str, str], tuple[float, float, bool]]]:
    """Of each chunk, by figure: the estimate's error, that of assuming, and whether the interval had it."""
    for start in range(0, len(rows) - CHUNK + 1, CHUNK):
        tally = tally_of(rows[start : start + CHUNK])
        true = {(each.name, each.of): each.value for each in class_figures(tally)}
        estimates = {(each.name, each.of): each for each in estimated_figures(tally, calibration)}
        yield {
            key: (
                abs(estimates[key].value - true[key]),
                abs(before[key].value - true[key]),
                estimates[key].low <= true[key] <= estimates[key].high,
            )
            for key in FIGURES
        }


def main() -> None:
    """Print the mean absolute errors over all chunks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="the file nannyml-VERSION-py3-none-any.whl")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    earlier, later = rows_of(options.wheel)
    learnt = tally_of(earlier)
    calibration = calibrate(learnt.judged)
    assert calibration is not None
    before = {(each.name, each.of): each for each in class_figures(learnt)}
    chunks = list(errors_of(later, calibration, before))
    report = {
        name: dict(
            zip(
                ("estimated", "assumed", "in_interval"),
                np.mean([chunk[name, of] for chunk in chunks], axis=0).round(4).tolist(),
                strict=True,
            )
        )
        for name, of in FIGURES
    }
    if options.json:
        print(json.dumps({"chunks": len(chunks), "errors": report}))
        return
    print(f"{len(chunks)} chunks of {CHUNK}: mean absolute error")
    print(f"{'figure':12}{'estimated':>12}{'as before':>12}{'in interval':>14}")
    for name, row in report.items():
        print(f"{name:12}{row['estimated']:12.4f}{row['assumed']:12.4f}{row['in_interval']:14.0%}")


if __name__ == "__main__":
    main()
