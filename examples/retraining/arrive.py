"""Has the people of a year arrive in a folder, as a nightly export would.

python -m examples.retraining.arrive 2015 examples/retraining/data
"""

from __future__ import annotations

import sys
from pathlib import Path

from examples.sklearn_pipeline.census import YEAR, sample


def arrive(year: int, folder: Path) -> Path:
    """Write the people of a year, all at once: a reader never sees half of them."""
    people = sample()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{year}.parquet"
    beside = folder / f".{year}.part"
    people[people[YEAR] == year].to_parquet(beside, index=False)
    return beside.rename(path)


if __name__ == "__main__":
    print(arrive(int(sys.argv[1]), Path(sys.argv[2])))
