"""Tables in CSV files as inputs: a column each, or all of them as one array."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from headrace.datatype_names import FLOATS, Datatype

if TYPE_CHECKING:
    from headrace.client.tensors import ModelMetadata, TensorMetadata

Cell = bool | int | float | str
Column = list[Cell] | list[list[Cell]]
_BOOLS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def read_table(
    path: Path, metadata: ModelMetadata, only: TensorMetadata | None
) -> dict[str, Column]:
    """The inputs that a CSV file has: by columns of their names, or the one input as rows of all columns.

    `only` is the input that was asked for, None where none was. A first line that is not data of an
    array is its heading, and left out. Raises typer.BadParameter.
    """
    lines = _lines(path)
    heading = lines[0]
    names = {tensor.name for tensor in metadata.inputs}
    if only is None and names <= set(heading):
        return {
            tensor.name: _column(path, lines, heading.index(tensor.name), tensor)
            for tensor in metadata.inputs
        }
    if only is None and len(metadata.inputs) != 1:
        raise typer.BadParameter(
            f"{path} has the columns {', '.join(heading)}; {metadata.name} takes {', '.join(sorted(names))}"
        )
    tensor = only or metadata.inputs[0]
    return {tensor.name: _rows(path, lines, tensor)}


def _lines(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file) if line]
    except (OSError, ValueError, csv.Error) as error:
        raise typer.BadParameter(f"cannot read {path}: {error}") from error
    if not lines:
        raise typer.BadParameter(f"{path} has no rows")
    ragged = next((n for n, line in enumerate(lines, 1) if len(line) != len(lines[0])), None)
    if ragged is not None:
        raise typer.BadParameter(
            f"{path}: row {ragged} has {len(lines[ragged - 1])} columns, the first {len(lines[0])}"
        )
    return lines


def _column(
    path: Path, lines: Sequence[Sequence[str]], place: int, tensor: TensorMetadata
) -> Column:
    cells = [
        _cell(path, number, line[place], tensor.datatype)
        for number, line in enumerate(lines[1:], 2)
    ]
    return [[cell] for cell in cells] if len(tensor.shape) == 2 else cells


def _rows(path: Path, lines: Sequence[Sequence[str]], tensor: TensorMetadata) -> Column:
    skipped = 0 if _is_data(lines[0], tensor.datatype) else 1
    rows = [
        [_cell(path, number, cell, tensor.datatype) for cell in line]
        for number, line in enumerate(lines[skipped:], 1 + skipped)
    ]
    alone = len(tensor.shape) == 1 and len(lines[0]) == 1
    return [row[0] for row in rows] if alone else rows


def _is_data(line: Sequence[str], datatype: Datatype) -> bool:
    try:
        for cell in line:
            _value(cell, datatype)
    except ValueError:
        return False
    return True


def _cell(path: Path, number: int, cell: str, datatype: Datatype) -> Cell:
    try:
        return _value(cell, datatype)
    except ValueError:
        raise typer.BadParameter(f"{path}: {cell!r} in row {number} is not {datatype}") from None


def _value(cell: str, datatype: Datatype) -> Cell:
    """A cell as a value of a datatype. Raises ValueError."""
    if datatype is Datatype.BYTES:
        return cell
    if datatype in FLOATS:
        return float(cell)
    if datatype is Datatype.BOOL:
        if cell.lower() not in _BOOLS:
            raise ValueError(cell)
        return _BOOLS[cell.lower()]
    return int(cell)
