"""Checks that a run's outputs have the rows of its inputs, on which sharing runs rests."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.state.records import TensorSpec
from headrace_inference.domain.scheduling.requests import Array


class RowsDiffer(Exception):
    """The rows of an output are not those of the inputs: the version's requests cannot share a run."""


def check_rows(specs: Sequence[TensorSpec], outputs: Sequence[Array], rows: int) -> None:
    """Look at the arrays of a run of so many rows. Raises RowsDiffer where one has more, fewer or none."""
    for spec, output in zip(specs, outputs, strict=True):
        shape = output.shape
        if not shape or shape[0] != rows:
            raise RowsDiffer(
                f"output '{spec.name}' has shape {list(shape)} for {rows} rows: its first dimension is no "
                "batch dimension"
            )
