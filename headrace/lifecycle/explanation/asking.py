"""Asks the predictor for the numbers that are explained: counted, bounded, a part at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headrace import errors
from headrace.lifecycle.explanation.refusals import not_finite, refused, too_large
from headrace.lifecycle.explanation.targets import Target
from headrace.lifecycle.predictors import Predictor
from headrace.lifecycle.predictors.predictor import Array, Tensors, rows_of

Scores = npt.NDArray[np.float64]

MAX_ROWS = 100_000
"""What an explanation may ask where nothing else is said."""
PART_BYTES = 32 * 2**20
"""Rows are made and asked in parts of about so many bytes: a thousand copies of an image are not held."""
_PART_ROWS = 4096
_REFUSED = ("DATA_OUT_OF_SCHEMA", "INPUTS_REFUSED")
"""Reasons of what the row itself did not meet: by an enforced reference, by the graph."""


class CountingPredictor:
    """A predictor that counts the rows that it was asked."""

    def __init__(self, inner: Predictor) -> None:
        self._inner = inner
        self.signature = inner.signature
        self.rows = 0

    @property
    def requests(self) -> int:
        """Those of the predictor."""
        return self._inner.requests

    async def predict(self, inputs: Tensors) -> dict[str, Array]:
        """The outputs, as the predictor answers them."""
        self.rows += rows_of(inputs)
        return await self._inner.predict(inputs)


class Asker:
    """Asks for one number a row, and counts what it asked."""

    def __init__(self, predictor: Predictor, target: Target, max_rows: int = MAX_ROWS) -> None:
        self.predictor = predictor
        self.target = target
        self.max_rows = max_rows
        self.rows = 0

    @property
    def requests(self) -> int:
        """The predictor's requests so far."""
        return self.predictor.requests

    def allow(self, rows: int) -> None:
        """Raises InvalidArgument (EXPLANATION_TOO_LARGE) where so many more rows may not be asked."""
        if self.rows + rows > self.max_rows:
            raise too_large(self.rows + rows, self.max_rows)

    async def score(self, inputs: Tensors) -> Scores:
        """The number of each row.

        Raises FailedPrecondition (ANSWER_NOT_FINITE, MASKED_ROWS_REFUSED), InvalidArgument
        (EXPLANATION_TOO_LARGE), and what the predictor raises.
        """
        rows = rows_of(inputs)
        self.allow(rows)
        try:
            outputs = await self.predictor.predict(inputs)
        except errors.HeadraceError as error:
            if error.reason in _REFUSED:
                raise refused(error.message) from error
            raise
        self.rows += rows
        scores = self.target.of(outputs)
        wrong = int(np.count_nonzero(~np.isfinite(scores)))
        if wrong:
            raise not_finite(self.target.output, wrong, rows)
        return scores


def copies_in_a_part(inputs: Tensors) -> int:
    """How many copies of these rows are held at once."""
    size = sum(array.nbytes for array in inputs.values())
    return max(1, min(_PART_ROWS // rows_of(inputs), PART_BYTES // max(1, size)))
