"""Gives each value that a caller passes to the input it is for, as an array of that input's datatype."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from headrace.client.arrays import Array
from headrace.client.casting import cast
from headrace.client.input_errors import InputTypeError, described
from headrace.client.tensors import ModelMetadata, TensorMetadata

Inputs = Mapping[str, npt.ArrayLike] | npt.ArrayLike
"""Values by input, or the one value of a model with one input: arrays, nested lists, numbers, texts, and
what numpy makes arrays of, such as columns and tables of pandas."""


@runtime_checkable
class _Table(Protocol):
    """A table of pandas, and what is like it."""

    columns: Iterable[str]

    def __getitem__(self, column: str, /) -> npt.ArrayLike:
        """A column."""


@dataclass(frozen=True, slots=True)
class BoundInputs:
    """An array for each input, and notes on what was cast."""

    arrays: Mapping[str, Array]
    notes: tuple[str, ...] = ()


def bound_as_they_are(inputs: Inputs) -> BoundInputs | None:
    """The inputs where nobody has to know the signature; else None.

    Arrays of float32 are what most models take, and never what numpy or Python makes by default: they are
    meant. Of all else the model's datatype has to be known.
    """
    if not isinstance(inputs, Mapping):
        return None
    if not all(getattr(value, "dtype", None) == np.float32 for value in inputs.values()):
        return None
    return BoundInputs({name: np.asarray(value) for name, value in inputs.items()})


def bound(inputs: Inputs, metadata: ModelMetadata) -> BoundInputs:
    """The inputs as a model takes them. Raises InvalidArgument, also as InputTypeError."""
    notes: list[str] = []
    arrays: dict[str, Array] = {}
    for name, value in _by_name(inputs, metadata).items():
        arrays[name], note = cast(value, metadata.input(name))
        notes += [note] if note else []
    return BoundInputs(arrays, tuple(notes))


def _by_name(inputs: Inputs, metadata: ModelMetadata) -> Mapping[str, npt.ArrayLike]:
    if isinstance(inputs, Mapping):
        return inputs
    if isinstance(inputs, _Table) and {spec.name for spec in metadata.inputs} <= {*inputs.columns}:
        return {spec.name: _column(inputs[spec.name], spec) for spec in metadata.inputs}
    if len(metadata.inputs) == 1:
        return {metadata.inputs[0].name: inputs}
    takes = ", ".join(
        f"{spec.name!r} {spec.datatype} {list(spec.shape)}" for spec in metadata.inputs
    )
    raise InputTypeError(
        "INPUTS_UNNAMED",
        f"{metadata.name} takes {len(metadata.inputs)} inputs ({takes}), got {described(inputs)}: "
        "give a dict with a value for each",
    )


def _column(column: npt.ArrayLike, spec: TensorMetadata) -> npt.ArrayLike:
    """A column as a model of tables takes it: one row for each value."""
    values: Array = np.asarray(column)
    return values.reshape(-1, 1) if values.ndim == 1 and len(spec.shape) == 2 else values
