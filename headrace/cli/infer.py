"""`headrace infer`."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from headrace.cli.arguments import CallableName, VersionOrAlias
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable
from headrace.cli.images import PREPROCESS_HELP, Preprocess
from headrace.cli.inputs import FORMS, parse_inputs, read_inputs
from headrace.cli.output import table
from headrace.datatype_names import FLOATS

if TYPE_CHECKING:
    from headrace.client import InferResult
    from headrace.client.arrays import Array
    from headrace.client.tensors import ModelMetadata


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "infer")(infer)


Outputs = Annotated[
    list[str] | None, typer.Option(help="An output to ask for; without any, all come.")
]
Save = Annotated[
    Path | None,
    typer.Option(file_okay=False, help="A folder to write each output to, as .npy or .json."),
]


async def infer(
    cli: Cli,
    name: CallableName,
    value: Annotated[
        list[str] | None, typer.Argument(metavar="[VALUE]...", help=f"{FORMS}.")
    ] = None,
    input: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="The same for one input.")
    ] = None,
    version: VersionOrAlias = "",
    output: Outputs = None,
    classes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Show so many best classes of each output of numbers, with labels."
        ),
    ] = None,
    preprocess: Annotated[Preprocess, typer.Option(help=PREPROCESS_HELP)] = Preprocess.AUTO,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TEXT", help="A header to send; a route may look at it."),
    ] = None,
    request_id: Annotated[
        str, typer.Option("--id", help="The request's id, by which it may be labelled later.")
    ] = "",
    save: Save = None,
) -> None:
    """Run a model on given inputs and print what it answers.

    An image is decoded, resized and laid out as the signature says. A CSV file gives its columns to the
    inputs of those names, or all of them to the only input. Dimensions that a value lacks in front are 1.
    """
    given, headers = parse_inputs(input or (), value or ()), _headers(header or ())
    async with cli.client() as client:
        metadata = await client.model_metadata(name, version)
        inputs = read_inputs(given, metadata, preprocess)
        wanted, best = _outputs(metadata, list(output or ()), classes)
        result = await client.infer(
            name,
            inputs,
            version=version,
            outputs=wanted,
            classes=best,
            headers=headers,
            request_id=request_id,
        )
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        for key, array in result.outputs.items():
            _save(save, key, array)
    cli.show(as_document(result), lambda: _lines(result, best))


def _outputs(
    metadata: ModelMetadata, wanted: list[str], classes: int | None
) -> tuple[list[str], dict[str, int]]:
    """The outputs to ask for, and those of which the best classes are wanted."""
    if classes is None:
        return wanted, {}
    asked = [each for each in metadata.outputs if not wanted or each.name in wanted]
    scores = [each.name for each in asked if each.name in wanted or each.datatype in FLOATS]
    return [*wanted, *(each.name for each in asked)], dict.fromkeys(scores, classes)


def _headers(given: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if not all(equals for _, equals, _ in pairs):
        raise typer.BadParameter("--header is NAME=TEXT, such as x-user=ada")
    return {name: text for name, _, text in pairs}


def as_document(result: InferResult) -> dict[str, Any]:
    """An answer as JSON shows it; bytes that are no UTF-8 are {"b64": ...}."""
    from headrace.datatypes import datatype_of

    return {
        "model_name": result.model_name,
        "model_version": result.model_version,
        "id": result.id,
        "route": result.route,
        "parameters": dict(result.parameters),
        "outputs": {
            name: {
                "datatype": datatype_of(array),
                "shape": list(array.shape),
                "data": _values(array),
            }
            for name, array in result.outputs.items()
        },
    }


def _values(array: Array) -> Any:
    if array.dtype == object:
        return _texts(array.tolist())
    return _portable(array).tolist()


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(item) for item in value]
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _portable(array: Array) -> Array:
    """BF16 as FP32, which holds the same values and which numpy knows by itself."""
    return array.astype("float32") if array.dtype.kind == "V" else array


def _save(folder: Path, name: str, array: Array) -> None:
    import numpy as np

    path = folder / quote(name, safe="")  # a tensor's name is any text, also one with slashes
    if array.dtype == object:
        Path(f"{path}.json").write_text(json.dumps(_values(array)), encoding="utf-8")
    else:
        np.save(Path(f"{path}.npy"), _portable(array))


def _lines(result: InferResult, best: Mapping[str, int]) -> list[Any]:
    import numpy as np

    lines: list[Any] = [f"{result.model_name} version {result.model_version} ({result.route})"]
    if result.flagged:
        lines.append(f"not as was learnt of its data: {printable(result.flagged)}")
    for name, tensor in as_document(result)["outputs"].items():
        array = result.outputs[name]
        if name in best:
            lines += [name, _ranking(array)]
            continue
        shown = _texts(array.tolist()) if array.dtype == object else _portable(array)
        text = shown if isinstance(shown, list | str | dict) else np.array2string(shown)
        lines += [f"{name} {tensor['datatype']} {tensor['shape']}", str(text)]
    return [*lines, *(f"note: {note}" for note in result.notes)]


def _ranking(array: Array) -> Any:
    """The best classes, each `value:index` or `value:index:label`, as a table."""
    rows = array.reshape(-1, array.shape[-1])
    cells = [
        (number, *[*_texts(item).split(":", 2), ""][:3])
        for number, row in enumerate(rows.tolist(), 1)
        for item in row
    ]
    return table(("row>", "value>", "class>", "label"), cells)
