"""Reads what `headrace explain` is asked of: a value, an image, a text, or a row of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from headrace.cli.images import ENDINGS, Preprocess, read_image
from headrace.cli.inputs import parse_inputs, read_inputs
from headrace.datatype_names import Datatype

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version
    from headrace.client.tensors import ModelMetadata
    from headrace.lifecycle.tables import Fitting

SAMPLE_ROWS = 2000
"""So many rows of --data, from its first, are what its mean is of."""
BASELINES = ("", "zeros", "mean", "sample", "reference", "blur")


@dataclass(frozen=True, slots=True)
class Question:
    """What the arguments say of the row and the baseline."""

    values: Sequence[str]
    inputs: Sequence[str]
    image: Path | None
    text: str | None
    data: Path | None
    row: int
    ignored: Sequence[str]
    baseline: str
    preprocess: Preprocess

    @property
    def gives_a_row(self) -> bool:
        """Return whether the row is given in place, rather than taken from the table."""
        return bool(self.values or self.inputs or self.image or self.text is not None)


@dataclass(frozen=True, slots=True)
class Asked:
    """The row, and what belongs to it, as the client takes it."""

    row: Mapping[str, Any]
    baseline: str | Mapping[str, Any]
    sample: Mapping[str, Any] | None = None
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    image: str = ""
    text: str = ""


async def asked_of(client: AsyncClient, model: str, version: int, question: Question) -> Asked:
    """Read it. Raises typer.BadParameter, and InvalidArgument (ROWS_INVALID) for tables."""
    found = await client.version(model, version)
    baseline = _baseline(found, question)
    table = None if question.data is None else _read(found, question.data, question)
    if table is not None and not question.gives_a_row:
        return _row_of_table(table, question, baseline)
    metadata = await client.model_metadata(model, version)
    image = text = ""
    row: dict[str, Any] = {}
    if question.image is not None:
        image = _image_input(metadata)
        row[image] = read_image(question.image, metadata.input(image), question.preprocess)
    if question.text is not None:
        text = _text_input(metadata)
        row[text] = _shaped(question.text, metadata.input(text).shape)
    values = parse_inputs(question.inputs, question.values)
    if values or not row:
        row |= read_inputs(values, metadata, question.preprocess)
    image = image or _image_among(values, metadata)
    if table is None:
        return Asked(row, baseline, image=image, text=text)
    return Asked(row, baseline, _few(table[0]), names_of(table[1], table[0]), image, text)


def _image_among(values: Sequence[Any], metadata: ModelMetadata) -> str:
    """The input to which a file of an image was given: a map is wanted of it as of --image."""
    for each in values:
        if each.path is not None and each.path.suffix.lower() in ENDINGS:
            return each.name or metadata.inputs[0].name
    return ""


def _image_input(metadata: ModelMetadata) -> str:
    from headrace.images import layout_of

    names = [
        each.name
        for each in metadata.inputs
        if each.datatype is not Datatype.BYTES and layout_of(each.shape) is not None
    ]
    if len(names) != 1:
        raise typer.BadParameter(
            f"--image takes a model with one input of images, and {metadata.name} has {len(names)}: "
            "use --input NAME=@FILE"
        )
    return names[0]


def _text_input(metadata: ModelMetadata) -> str:
    names = [each.name for each in metadata.inputs if each.datatype is Datatype.BYTES]
    if len(names) != 1:
        raise typer.BadParameter(
            f"--text takes a model with one input of texts, and {metadata.name} has {len(names)}"
        )
    return names[0]


def _shaped(text: str, shape: Sequence[int]) -> Any:
    import numpy as np

    made = np.empty((1,) * max(1, len(shape)), dtype=object)
    made[...] = text.encode()
    return made


def _baseline(found: Version, question: Question) -> str | Mapping[str, Any]:
    if question.baseline in BASELINES:
        return question.baseline
    path = Path(question.baseline)
    if not path.exists():
        words = ", ".join(filter(None, BASELINES))
        raise typer.BadParameter(f"--baseline is {words} or a file, not {question.baseline!r}")
    return _read(found, path, question)[0]


Table = tuple[dict[str, Any], "Fitting"]
"""Inputs of all rows that were read, and the columns that they are made of."""


def _row_of_table(table: Table, question: Question, baseline: str | Mapping[str, Any]) -> Asked:
    tensors, fitting = table
    count = len(next(iter(tensors.values())))
    if question.row > count:
        raise typer.BadParameter(f"{question.data} has {count} rows, and no row {question.row}")
    place = slice(question.row - 1, question.row)
    row = {name: array[place] for name, array in tensors.items()}
    return Asked(row, baseline, _few(tensors), names_of(fitting, tensors))


def _few(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: array[:SAMPLE_ROWS] for name, array in tensors.items()}


def names_of(fitting: Fitting, rows: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """The columns by input, where each is one feature."""
    return {
        name: columns
        for name, columns in fitting.columns.items()
        if name in rows and rows[name][:1].size == len(columns)
    }


def _read(found: Version, path: Path, question: Question) -> Table:
    """The rows as inputs, up to SAMPLE_ROWS or the row asked for. Columns named as outputs are none."""
    from headrace.lifecycle.tables import fit, open_table, read_all

    source = open_table(path)
    outputs = {spec.name for spec in found.signature.outputs}
    unknown = [name for name in question.ignored if name not in source.columns]
    if unknown:
        raise typer.BadParameter(
            f"--ignore {unknown[0]}: {path} has the columns {', '.join(source.columns)}"
        )
    fitting = fit(found.signature, source.columns, without={*question.ignored, *outputs})
    return fitting.tensors(read_all(source, max(SAMPLE_ROWS, question.row))), fitting
