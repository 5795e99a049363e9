"""Reads the inputs of `headrace infer`: values in place or from files, by name or for the only input."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from headrace.cli import images
from headrace.cli.images import Preprocess
from headrace.cli.sample_files import whole_arrays
from headrace.datatype_names import Datatype

if TYPE_CHECKING:
    from headrace.client.tensors import ModelMetadata, TensorMetadata

FORMS = (
    "@image.jpg, @table.csv, @text.txt, @array.npy, @arrays.npz, @values.json, JSON or plain text; "
    "behind NAME= where the model has several inputs"
)


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was given: `text` for the input `name`, '' for the only one or for all."""

    name: str
    text: str

    @property
    def path(self) -> Path | None:
        """The file that it is in; None where it is in place."""
        return Path(self.text[1:]) if self.text.startswith("@") else None


def parse_inputs(named: Sequence[str], values: Sequence[str] = ()) -> list[Given]:
    """Return the inputs of `--input` (`named`) and the arguments (`values`). Raises typer.BadParameter."""
    found = [*map(_named, named), *map(_value, values)]
    names = [given.name for given in found]
    if any(names.count(name) > 1 for name in names):
        twice = next(name for name in names if names.count(name) > 1)
        what = f"input {twice!r}" if twice else "a value without a name"
        raise typer.BadParameter(f"{what} is given twice")
    return found


def read_inputs(
    given: Sequence[Given], metadata: ModelMetadata, preprocess: Preprocess
) -> dict[str, Any]:
    """The inputs by name, as the model's signature asks for them. Raises typer.BadParameter."""
    if not given and metadata.inputs:
        names = ", ".join(tensor.name for tensor in metadata.inputs)
        raise typer.BadParameter(f"{metadata.name} takes {names}; give a value: {FORMS}")
    inputs: dict[str, Any] = {}
    for each in (_with_known_name(one, metadata) for one in given):
        inputs |= _inputs_of(each, metadata, preprocess)
    return inputs


def _named(text: str) -> Given:
    name, equals, value = text.partition("=")
    return Given(name, value) if name and equals else Given("", text)


def _value(text: str) -> Given:
    return Given("", text) if text[:1] in ("@", "[", "{", '"', "-") else _named(text)


def _with_known_name(given: Given, metadata: ModelMetadata) -> Given:
    """Take NAME=VALUE without such an input of a model with one as a text with a '=' in it."""
    inputs = metadata.inputs
    is_text = len(inputs) == 1 and inputs[0].datatype is Datatype.BYTES
    if given.name and is_text and given.name != inputs[0].name:
        return Given("", f"{given.name}={given.text}")
    return given


def _inputs_of(given: Given, metadata: ModelMetadata, preprocess: Preprocess) -> dict[str, Any]:
    suffix = given.path.suffix.lower() if given.path else ""
    only = metadata.input(given.name) if given.name else None
    if given.path and suffix == ".csv":
        from headrace.cli.tables import read_table

        return dict(read_table(given.path, metadata, only))
    if only is None and suffix not in images.ENDINGS:
        value = _read(given, text=_takes_text(metadata))
        if isinstance(value, dict):
            return value
    else:
        value = None
    tensor = only or _only_input(metadata, given)
    if given.path and suffix in images.ENDINGS:
        return {tensor.name: images.read_image(given.path, tensor, preprocess)}
    if value is None:
        value = _read(given, text=tensor.datatype is Datatype.BYTES)
    return {tensor.name: _with_leading_dimensions(value, tensor)}


def _takes_text(metadata: ModelMetadata) -> bool:
    return len(metadata.inputs) == 1 and metadata.inputs[0].datatype is Datatype.BYTES


def _only_input(metadata: ModelMetadata, given: Given) -> TensorMetadata:
    if len(metadata.inputs) == 1:
        return metadata.inputs[0]
    names = ", ".join(tensor.name for tensor in metadata.inputs)
    raise typer.BadParameter(
        f"{metadata.name} takes {len(metadata.inputs)} inputs ({names}): write NAME={given.text[:40]}"
    )


def _with_leading_dimensions(value: Any, tensor: TensorMetadata) -> Any:
    """The value with as many dimensions as the input has: one row needs no brackets of its own."""
    if hasattr(value, "shape"):
        missing = len(tensor.shape) - len(value.shape)
        fits = missing > 0 and math.prod(tensor.shape[:missing]) in (1, -1)
        return value.reshape((1,) * missing + value.shape) if fits else value
    depth, inner = 0, value
    while isinstance(inner, list) and inner:
        depth, inner = depth + 1, inner[0]
    for _ in range(len(tensor.shape) - depth):
        value = [value]
    return value


def _read(given: Given, *, text: bool = False) -> Any:
    """The value: arrays of .npy and .npz, JSON, or text where that is what is taken."""
    path = given.path
    if path is None:
        return _json_or_text(given.text, text=text)
    try:
        if path.suffix in (".npy", ".npz"):
            return _arrays(path)
        if path.suffix in (".json", ".txt"):
            content = path.read_text(encoding="utf-8")
            return content.rstrip("\n") if path.suffix == ".txt" else _json(content, str(path))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"cannot read {path}: {error}") from error
    raise typer.BadParameter(
        f"{path} is not a file that can be sent: use .jpg (or .png, ...), .csv, .txt, .npy, .npz or .json"
    )


def _arrays(path: Path) -> Any:
    import numpy as np

    with whole_arrays():
        loaded = np.load(path, allow_pickle=False)
        return dict(loaded) if path.suffix == ".npz" else loaded


def _json_or_text(value: str, *, text: bool) -> Any:
    if not text:
        return _json(value, value)
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, str | list) else value


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if text == where and _is_file(text):
            raise typer.BadParameter(f"{text!r} is a file: write @{text}") from error
        raise typer.BadParameter(
            f"{where[:80]!r} is not JSON ({error}); a file needs '@' before it, text quotes: '[\"text\"]'"
        ) from error


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long, or with a zero
        return False
