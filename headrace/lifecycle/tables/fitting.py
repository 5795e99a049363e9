"""Fits the columns of a table to the inputs of a version: decided once, done with every piece of rows."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headrace.datatype_names import Datatype
from headrace.datatypes import NUMPY_DTYPES
from headrace.images import Preprocess, read_image
from headrace.lifecycle.tables.folders import FILE, PATH
from headrace.lifecycle.tables.rows import Array, Rows, invalid, numbers_of
from headrace.state.records import Signature, TensorSpec

_COLUMN_OF = re.compile(r"(?P<tensor>.+)\[(?P<column>\d+)\]")
_LISTED = 12


@dataclass(frozen=True, slots=True)
class Fitting:
    """Which columns each input is made of, in their order."""

    inputs: Mapping[str, TensorSpec]
    columns: Mapping[str, tuple[str, ...]]
    preprocess: Preprocess = Preprocess.AUTO
    """How the pixels of images become numbers, where rows are files."""
    by_order: bool = False
    """Whether no column has a name of its own in the version: their order says what is what."""

    def order(self) -> str:
        """The columns whose order was taken for the input's, for people; nothing where names said it."""
        if not self.by_order:
            return ""
        ((name, columns),) = self.columns.items()
        return f"input {name!r} takes the columns in the order of the data: {_listed(columns)}"

    def tensors(self, rows: Rows) -> dict[str, Array]:
        """The inputs of rows, with the rows first. Raises InvalidArgument (ROWS_INVALID)."""
        return {
            name: _tensor(rows, columns, self.inputs[name], self.preprocess)
            for name, columns in self.columns.items()
        }

    def row_bytes(self) -> int | None:
        """How large the inputs of a row are; None where only the rows tell, and for texts."""
        specs = [self.inputs[name] for name in self.columns]
        if any(spec.unranked or spec.datatype is Datatype.BYTES for spec in specs):
            return None
        if any(size < 0 for spec in specs for size in spec.shape[1:]):
            return None
        return sum(
            int(np.prod(spec.shape[1:], dtype=np.int64)) * NUMPY_DTYPES[spec.datatype].itemsize
            for spec in specs
        )


def fit(
    signature: Signature,
    columns: Sequence[str],
    *,
    without: Collection[str] = (),
    chosen: Mapping[str, Sequence[str]] | None = None,
    preprocess: Preprocess = Preprocess.AUTO,
) -> Fitting:
    """Decide which columns become which inputs.

    `chosen` says it for some inputs or all. Else a column goes to the input of its name, columns `x[0]`,
    `x[1]` … to `x`, and, where no input has the name of a column, all of them to the only input. Those in
    `without` (the target, ids) are never inputs. Raises InvalidArgument (ROWS_INVALID), which names what
    is missing.
    """
    specs = {spec.name: spec for spec in (*signature.inputs, *signature.optional_inputs)}
    left = [name for name in columns if name not in without]
    given = {name: tuple(these) for name, these in (chosen or {}).items()}
    _check_chosen(given, specs, columns)
    found = given or _by_name(specs, left)
    by_order = not found
    found = found or _only_input(signature, left)
    if given:  # those that were not named may have columns of their names
        needed = {spec.name: spec for spec in signature.inputs if spec.name not in given}
        found = _by_name(needed, left) | given
    missing = [spec.name for spec in signature.inputs if spec.name not in found]
    if missing:
        raise invalid(
            f"no column is input {_listed(missing)}: there are {_listed(left)}; name columns as inputs, or "
            "say INPUT=COLUMN,COLUMN"
        )
    by_order = by_order and any(len(these) > 1 for these in found.values())
    return Fitting(specs, found, preprocess, by_order)


def _check_chosen(
    given: Mapping[str, Sequence[str]], specs: Mapping[str, TensorSpec], columns: Sequence[str]
) -> None:
    for name, these in given.items():
        if name not in specs:
            raise invalid(f"the version has no input {name!r}; it has {_listed(specs)}")
        unknown = [column for column in these if column not in columns]
        if unknown:
            raise invalid(f"there is no column {_listed(unknown)}; there are {_listed(columns)}")


def _by_name(specs: Mapping[str, TensorSpec], columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {name: (name,) for name in columns if name in specs}
    parts: dict[str, dict[int, str]] = {}
    for name in columns:
        match = _COLUMN_OF.fullmatch(name)
        if match is not None and match["tensor"] in specs:
            parts.setdefault(match["tensor"], {})[int(match["column"])] = name
    for tensor, those in parts.items():
        missing = next((place for place in range(len(those)) if place not in those), None)
        if missing is not None:
            raise invalid(f"column {tensor}[{missing}] is missing")
        found[tensor] = tuple(those[place] for place in range(len(those)))
    return found


def _only_input(signature: Signature, columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """All columns as the only input; an input of one value a row takes a single column."""
    if len(signature.inputs) != 1 or not columns:
        return {}
    spec = signature.inputs[0]
    if FILE in columns and PATH in columns:  # a folder's: the others say where the file is
        return {spec.name: (FILE,)}
    wanted = _values_a_row(spec)
    if wanted is not None and wanted != len(columns) and len(columns) != 1:
        raise invalid(
            f"there are {len(columns)} columns ({_listed(columns)}), and input {spec.name!r} has "
            f"{wanted} values a row: leave columns out, or say {spec.name}=COLUMN,COLUMN"
        )
    return {spec.name: tuple(columns)}


def _values_a_row(spec: TensorSpec) -> int | None:
    sizes = spec.shape[1:]
    if spec.unranked or any(size < 0 for size in sizes):
        return None
    return int(np.prod(sizes, dtype=np.int64))


def _tensor(rows: Rows, columns: Sequence[str], spec: TensorSpec, preprocess: Preprocess) -> Array:
    if len(columns) == 1 and isinstance(next(iter(rows.columns[columns[0]]), None), Path):
        return _images(rows.columns[columns[0]], spec, preprocess)
    parts = [_typed(rows, name, spec) for name in columns]
    if len(parts) == 1:
        return _shaped(parts[0], spec)
    if any(part.ndim > 1 and part.size != len(part) for part in parts):
        raise invalid(f"a column of {_listed(columns)} has several values a row")
    return _shaped(np.stack([part.reshape(len(part)) for part in parts], axis=1), spec)


def _images(files: Array, spec: TensorSpec, preprocess: Preprocess) -> Array:
    """Files as the input's rows. Raises InvalidArgument for what is no image, and for different sizes."""
    arrays = [read_image(path, spec, preprocess) for path in files]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise invalid(
            f"images of different sizes ({_listed(sorted(map(str, shapes)))}) do not fit together into "
            f"input {spec.name!r}, which takes {list(spec.shape)}"
        )
    return np.concatenate(arrays)


def _typed(rows: Rows, name: str, spec: TensorSpec) -> Array:
    column = _stacked(rows.columns[name])
    if spec.datatype is Datatype.BYTES:
        return _texts(column)
    dtype = NUMPY_DTYPES[spec.datatype]
    if column.dtype == dtype:
        return column
    what = f"column {name!r}"
    if dtype.kind in "iub":
        return _whole_numbers(column, what, rows.start, spec)
    return numbers_of(column, what, rows.start).astype(dtype)


def _whole_numbers(column: Array, what: str, start: int, spec: TensorSpec) -> Array:
    """Integers as they are, however large; nothing is rounded, cut or guessed."""
    dtype = NUMPY_DTYPES[spec.datatype]
    bounds = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    quick = _quick_whole_numbers(column)
    if quick is not None and _are_within(quick, bounds):
        return quick.astype(dtype)
    values = np.empty(column.size, dtype=dtype)
    for place, value in enumerate(column.ravel().tolist()):
        number = _whole_number(value)
        if number is None or not bounds[0] <= number <= bounds[1]:
            row = start + place * len(column) // max(1, column.size) + 1
            raise invalid(
                f"{what} has {value!r:.100} in row {row}, and input {spec.name!r} takes {spec.datatype}"
            )
        values[place] = number
    return values.reshape(column.shape)


def _quick_whole_numbers(column: Array) -> Array | None:
    """All at once, where each is a whole number or its text; else each is looked at."""
    if column.dtype.kind in "iu":
        return column
    if column.dtype.kind == "f":
        is_whole = bool(np.all(np.isfinite(column))) and bool(np.all(column == np.floor(column)))
        return column.astype(np.int64) if is_whole and np.all(np.abs(column) < 2**53) else None
    if not all(type(value) is str for value in column.flat):
        return None
    try:
        return column.astype(np.int64)
    except (ValueError, OverflowError):
        return None


def _are_within(values: Array, bounds: tuple[int, int]) -> bool:
    return not values.size or (bounds[0] <= int(values.min()) and int(values.max()) <= bounds[1])


def _whole_number(value: object) -> int | None:
    try:
        number = int(value)  # type: ignore[call-overload]  # what is no number raises
        return number if isinstance(value, str) or number == value else None
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        fraction = float(str(value))
    except ValueError:
        return None
    return int(fraction) if fraction.is_integer() else None


def _stacked(column: Array) -> Array:
    """Lists, one a row, as an array of more dimensions."""
    first = next((value for value in column if value is not None), None)
    if column.dtype == object and isinstance(first, list | np.ndarray):
        try:
            return np.asarray([np.asarray(value) for value in column])
        except ValueError as error:
            raise invalid(f"rows have lists of different lengths: {error}") from error
    return column


def _texts(column: Array) -> Array:
    texts: Array = np.empty(column.size, dtype=object)
    for place, value in enumerate(column.ravel()):
        texts[place] = value if isinstance(value, bytes) else _text(value).encode()
    return texts.reshape(column.shape)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _shaped(array: Array, spec: TensorSpec) -> Array:
    """Rows in the shape of the input, where that is known and has as many values."""
    if spec.unranked or len(spec.shape) == array.ndim:
        return array
    sizes = tuple(spec.shape[1:])
    if sum(size < 0 for size in sizes) > 1:
        return array
    try:
        return array.reshape((len(array), *sizes))
    except ValueError:
        raise invalid(
            f"a row has {array[0].size} values, and input {spec.name!r} takes {list(sizes)}"
        ) from None


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:_LISTED])
    return shown + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
