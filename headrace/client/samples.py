"""Fits samples to a version: columns by name become its inputs and outputs, or it is said why not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.datatype_names import Datatype
from headrace.errors import InvalidArgument
from headrace.state.records import Signature, TensorSpec

MAX_ROWS = 200_000
"""Of a larger sample, rows at equal distances are taken."""
_COLUMN = re.compile(r"(?P<tensor>.+)\[(?P<column>\d+)\]")
_LISTED = 12

Array = npt.NDArray[Any]
Tensors = dict[str, Array]


def fitted(samples: Mapping[str, Any], signature: Signature) -> tuple[Tensors, Tensors]:
    """The samples by the names of inputs and of outputs, with at most MAX_ROWS rows.

    A sample is an array with the rows first, by the name of a tensor or, as `x[3]`, of a column of it.
    Columns without such names are those of the only input, in their order, where it has as many.
    Raises InvalidArgument (SAMPLES_INVALID).
    """
    arrays = {name: np.asarray(values) for name, values in samples.items()}
    _check_rows(arrays)
    specs = _specs(signature)
    grouped = _grouped(arrays, specs)
    if grouped is None:
        grouped = _only_input(arrays, signature)
    tensors = {name: _typed(name, array, specs[name]) for name, array in grouped.items()}
    outputs = {spec.name for spec in signature.outputs}
    return (
        {name: array for name, array in tensors.items() if name not in outputs},
        {name: array for name, array in tensors.items() if name in outputs},
    )


def _specs(signature: Signature) -> dict[str, TensorSpec]:
    inputs = (*signature.inputs, *signature.optional_inputs)
    return {spec.name: spec for spec in (*signature.outputs, *inputs)}


def _check_rows(arrays: Mapping[str, Array]) -> None:
    if not arrays:
        raise invalid("there are no columns")
    alone = next((name for name, array in arrays.items() if not array.ndim), None)
    if alone is not None:
        raise invalid(f"{alone!r} is one value, and a sample has one a row")
    rows = {len(array) for array in arrays.values()}
    if len(rows) > 1:
        raise invalid(f"its columns have different numbers of rows: {sorted(rows)}")
    if rows == {0}:
        raise invalid("there are no rows")


def _grouped(arrays: Mapping[str, Array], specs: Mapping[str, TensorSpec]) -> Tensors | None:
    """The arrays by tensor; None where no name is known. Raises InvalidArgument for a part of them."""
    found: Tensors = {}
    columns: dict[str, dict[int, Array]] = {}
    unknown = []
    for name, array in arrays.items():
        match = _COLUMN.fullmatch(name)
        if name in specs:
            found[name] = array
        elif match is not None and match["tensor"] in specs:
            columns.setdefault(match["tensor"], {})[int(match["column"])] = array
        else:
            unknown.append(name)
    if not found and not columns:
        return None
    if unknown:
        raise invalid(
            f"the version has no {_listed(unknown)}; it has {_listed(specs)}, and columns as "
            f"{next(iter(specs))!r}[0]"
        )
    return found | {name: _joined(name, those) for name, those in columns.items()}


def _joined(tensor: str, columns: Mapping[int, Array]) -> Array:
    missing = next((at for at in range(len(columns)) if at not in columns), None)
    if missing is not None:
        raise invalid(f"column {tensor}[{missing}] is missing")
    return _side_by_side([columns[at] for at in range(len(columns))])


def _only_input(arrays: Mapping[str, Array], signature: Signature) -> Tensors:
    """All columns as the only input there is, in their order. Raises InvalidArgument."""
    specs = signature.inputs
    if len(specs) != 1:
        raise invalid(f"it has {_listed(arrays)}, and the version {_listed(_specs(signature))}")
    spec = specs[0]
    wanted = [size for size in spec.shape[1:] if size >= 0]
    if len(wanted) == len(spec.shape) - 1 and not spec.unranked and np.prod(wanted) != len(arrays):
        raise invalid(
            f"it has {len(arrays)} columns ({_listed(arrays)}), and input {spec.name!r} has "
            f"{int(np.prod(wanted))} a row"
        )
    return {spec.name: _side_by_side(list(arrays.values()))}


def _side_by_side(columns: Sequence[Array]) -> Array:
    if any(column.ndim > 1 and column.size != len(column) for column in columns):
        raise invalid("a column has several values a row")
    return np.stack([column.reshape(-1) for column in columns], axis=1)


def _typed(name: str, array: Array, spec: TensorSpec) -> Array:
    """Rows as the tensor's datatype is counted: floats, or texts. Raises InvalidArgument."""
    if len(array) > MAX_ROWS:
        array = array[np.linspace(0, len(array) - 1, MAX_ROWS).round().astype(np.int64)]
    if spec.datatype is Datatype.BYTES:
        return array.astype(object)
    if array.dtype.kind in "fiub":
        return array
    try:
        return _numbers(array)
    except (TypeError, ValueError):
        raise invalid(
            f"{name!r} takes {spec.datatype.value}, and has values that are no numbers"
        ) from None


def _numbers(array: Array) -> Array:
    """Texts of numbers as numbers; empty ones are missing. Raises ValueError, TypeError."""
    flat = [_number(value) for value in array.reshape(-1).tolist()]
    return np.array(flat, np.float64).reshape(array.shape)


def _number(value: object) -> float:
    if value is None or value == "":
        return float("nan")
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return float(value.lower() == "true")
    return float(value)  # type: ignore[arg-type]  # or it raises


def _listed(names: Any) -> str:
    listed = list(map(repr, names))
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more


def invalid(what: str) -> InvalidArgument:
    """The error of samples that cannot be taken."""
    return InvalidArgument("SAMPLES_INVALID", f"the samples cannot be taken: {what}")
