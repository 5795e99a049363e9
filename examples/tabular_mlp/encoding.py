"""From columns to numbers, learnt from the rows of training: here for torch, in `export` as a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from examples.tabular_mlp.flights import CATEGORIES, NUMBERS

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = 0
"""The place of texts that training had not; known ones follow."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Means and deviations of numbers, and the texts of each category in their order."""

    means: npt.NDArray[np.float32]
    deviations: npt.NDArray[np.float32]
    known: dict[str, list[str]]

    def numbers(self, rows: pd.DataFrame) -> npt.NDArray[np.float32]:
        """[rows, 2 x numbers]: standardised, the mean for what is missing; then 1 where it is missing."""
        values = rows[list(NUMBERS)].to_numpy(np.float32)
        missing = np.isnan(values)
        standard = (np.where(missing, self.means, values) - self.means) / self.deviations
        return np.concatenate([standard, missing], axis=1).astype(np.float32)

    def places(self, rows: pd.DataFrame) -> npt.NDArray[np.int64]:
        """[rows, categories]: which text each is."""
        columns = []
        for name in CATEGORIES:
            of = {text: place for place, text in enumerate(self.known[name], UNKNOWN + 1)}
            columns.append(rows[name].map(of).fillna(UNKNOWN))
        return np.stack(columns, axis=1).astype(np.int64)


def learnt(rows: pd.DataFrame) -> Encoding:
    """What the rows of training say."""
    values = rows[list(NUMBERS)].to_numpy(np.float32)
    deviations = np.nanstd(values, axis=0)
    return Encoding(
        np.nanmean(values, axis=0).astype(np.float32),
        np.where(deviations > 0, deviations, 1).astype(np.float32),
        {name: sorted(set(rows[name])) for name in CATEGORIES},
    )
