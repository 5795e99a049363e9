"""`headrace infer`."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from headrace.cli.command import Cli, command
from headrace.cli.inputs import FORMS, parse_inputs

if TYPE_CHECKING:
    from headrace.client import InferResult
    from headrace.client.tensors import Array


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "infer")(infer)


async def infer(
    cli: Cli,
    name: Annotated[str, typer.Argument(metavar="NAME[@ALIAS]", help="The model.")],
    input: Annotated[list[str], typer.Option(help=f"An input: {FORMS}. Once for each.")],
    version: Annotated[
        str, typer.Option(help="A version's number or alias; without one, the route decides.")
    ] = "",
    output: Annotated[
        list[str] | None, typer.Option(help="An output to ask for; without any, all come.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="A folder to write each output to, as .npy or .json."),
    ] = None,
) -> None:
    """Run a model on given inputs and print what it answers."""
    inputs = parse_inputs(input)
    async with cli.client() as client:
        result = await client.infer(name, inputs, version=version, outputs=output or ())
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        for key, array in result.outputs.items():
            _save(save, key, array)
    cli.show(as_document(result), lambda: _lines(result))


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


def _lines(result: InferResult) -> list[str]:
    import numpy as np

    lines = [f"{result.model_name} version {result.model_version} ({result.route})"]
    for name, tensor in as_document(result)["outputs"].items():
        array = result.outputs[name]
        shown = _texts(array.tolist()) if array.dtype == object else _portable(array)
        text = shown if isinstance(shown, list | str | dict) else np.array2string(shown)
        lines += [f"{name} {tensor['datatype']} {tensor['shape']}", str(text)]
    return lines
