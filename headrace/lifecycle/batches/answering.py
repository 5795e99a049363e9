"""Has rows answered; a row that is refused is found by halving, and loses no other its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from headrace import errors
from headrace.lifecycle.batches.answers import Answered, Piece, Refusal, answered
from headrace.lifecycle.batches.plan import OnError
from headrace.lifecycle.predictors import Predictor
from headrace.lifecycle.predictors.predictor import Tensors
from headrace.lifecycle.tables import Fitting, Rows
from headrace.state.records import TensorSpec

_OF_ROWS = (errors.InvalidArgument, errors.OutOfRange)
_RUN_FAILED = "RUN_FAILED"

BLOCK_BYTES = 1 << 20
"""So much of small rows becomes tensors at once, not piece by piece."""


class PiecewisePredictor(Predictor, Protocol):
    """Answers rows, so many of them in a request or a run."""

    @property
    def rows_per_request(self) -> int:
        """The rows that go together."""

    @property
    def runs_here(self) -> bool:
        """Rows are answered in this process: no request is lost where one of many rows is refused."""


class RowAnswers:
    """Answers rows as a plan says: which columns are inputs, what is kept, what becomes of refused rows."""

    def __init__(
        self,
        predictor: PiecewisePredictor,
        fitting: Fitting,
        outputs: Sequence[TensorSpec],
        keep: Sequence[str],
        on_error: OnError = OnError.RECORD,
        *,
        at_once: int = 8,
    ) -> None:
        self.predictor = predictor
        self._fitting = fitting
        self._outputs = tuple(outputs)
        self._keep = tuple(keep)
        self._on_error = on_error
        self._room = asyncio.Semaphore(at_once)

    async def answer(self, rows: Rows) -> Answered:
        """The rows with their answers.

        Raises HeadraceError for what is no row's fault, and for a refused row where it is to fail.
        """
        size = self._rows_in_a_block()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._block(rows, place, min(size, len(rows) - place)))
                    for place in range(0, len(rows), size)
                ]
        except* errors.HeadraceError as failures:
            raise _first(failures) from None
        found = [piece for task in tasks for piece in task.result()]
        return await asyncio.to_thread(answered, rows, self._keep, self._outputs, found)

    def _rows_in_a_block(self) -> int:
        """How many rows become tensors at once: as many as go together, or more of small ones."""
        size, row_bytes = self.predictor.rows_per_request, self._fitting.row_bytes()
        if not row_bytes:
            return size
        return size * max(1, BLOCK_BYTES // (row_bytes * size))

    async def _block(self, rows: Rows, place: int, count: int) -> list[tuple[int, Piece]]:
        """Answer rows that become tensors together; where one of them cannot, each piece by itself."""
        size, tensors = self.predictor.rows_per_request, None
        if count > size:
            tensors = await self._small_tensors(rows, place, count)
        if tensors is not None and self.predictor.runs_here:
            size = count
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    self._in_turn(
                        rows, place + at, min(size, count - at), _cut(tensors, slice(at, at + size))
                    )
                )
                for at in range(0, count, size)
            ]
        return [piece for task in tasks for piece in task.result()]

    async def _small_tensors(self, rows: Rows, place: int, count: int) -> Tensors | None:
        try:
            return await asyncio.to_thread(self._tensors, rows, place, count)
        except errors.HeadraceError as error:
            if not _is_of_rows(error):
                raise
            return None

    def _tensors(self, rows: Rows, place: int, count: int) -> Tensors:
        chosen = rows.take(slice(place, place + count))
        return self._fitting.tensors(Rows(rows.start + place, chosen.columns))

    async def _in_turn(
        self, rows: Rows, place: int, count: int, tensors: Tensors | None
    ) -> list[tuple[int, Piece]]:
        async with self._room:  # no more rows are made tensors than are about to be asked for
            return await self._pieces(rows, place, count, tensors)

    async def _pieces(
        self, rows: Rows, place: int, count: int, tensors: Tensors | None = None
    ) -> list[tuple[int, Piece]]:
        try:
            if tensors is None:
                tensors = await asyncio.to_thread(self._tensors, rows, place, count)
            return [(count, await self.predictor.predict(tensors))]
        except errors.HeadraceError as error:
            if not _is_of_rows(error):
                raise
            if count == 1:
                return [(1, self._refused(rows.start + place, error))]
        half = self._half(count)
        first = await self._pieces(rows, place, half)
        return first + await self._pieces(rows, place + half, count - half)

    def _half(self, count: int) -> int:
        """About half, in whole requests or runs where there are several."""
        size = self.predictor.rows_per_request
        return size * max(1, count // (2 * size)) if count > size else count // 2

    def _refused(self, place: int, error: errors.HeadraceError) -> Refusal:
        if self._on_error is OnError.FAIL:
            raise errors.InvalidArgument(
                error.reason, f"row {place + 1} is refused: {error.message}", facts=error.facts
            ) from error
        return Refusal(place, error.reason, error.message)


def _cut(tensors: Tensors | None, some: slice) -> Tensors | None:
    return None if tensors is None else {name: array[some] for name, array in tensors.items()}


def _is_of_rows(error: errors.HeadraceError) -> bool:
    """Tell whether other rows may be answered, though these were not."""
    return isinstance(error, _OF_ROWS) or error.reason == _RUN_FAILED


def _first(failures: BaseExceptionGroup[errors.HeadraceError]) -> errors.HeadraceError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
