"""Who is employed: the census of Massachusetts from 2015 to 2018, a row for each person."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

from examples.training.wheels import file_of_wheel

if TYPE_CHECKING:
    import pandas as pd

NUMBER: Final = "AGEP"
"""The only number, years of age; all other columns are codes of answers."""
TARGET: Final = "employed"
YEAR: Final = "year"
SAMPLE: Final = Path(__file__).parent / "census_sample.parquet"
_WHEEL: Final = ("nannyml", "0.13.1")
_FOLDER: Final = "nannyml/datasets/data"
_LEFT_OUT: Final = ["id", "prediction", "predicted_probability"]


def census() -> pd.DataFrame:
    """All 277,677 people, of the wheel of NannyML, which is downloaded once (23 MB)."""
    import pandas as pd

    def table(name: str) -> pd.DataFrame:
        data = file_of_wheel(*_WHEEL, f"{_FOLDER}/employment_MA_{name}.pq")
        return pd.read_parquet(io.BytesIO(data))

    later = table("analysis").merge(table("analysis_target"), on="id")
    people = pd.concat([table("reference"), later], ignore_index=True)
    return _plain(people.drop(columns=_LEFT_OUT))


def sample() -> pd.DataFrame:
    """4,000 people of each year, which lie in this folder."""
    import pandas as pd

    return _plain(pd.read_parquet(SAMPLE))


def codes(people: pd.DataFrame) -> list[str]:
    """The columns that are codes: texts, though they look like numbers."""
    return [name for name in people.columns if name not in (NUMBER, TARGET, YEAR)]


def _plain(people: pd.DataFrame) -> pd.DataFrame:
    """Texts as texts, and the number in the precision in which it is served."""
    kinds = {NUMBER: "float32", TARGET: "int64", YEAR: "int64"}
    return people.astype({name: kinds.get(name, "str") for name in people.columns})
