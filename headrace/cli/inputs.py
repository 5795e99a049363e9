"""Parses `--input`: a tensor's name, and its value from a file or in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

FORMS = "NAME=@FILE.npy, NAME=@FILE.json or NAME=JSON"


def parse_inputs(texts: list[str]) -> dict[str, Any]:
    """The inputs by name: arrays from .npy files, lists from JSON. Raises typer.BadParameter."""
    inputs: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"--input {text!r} is none of {FORMS}")
        if name in inputs:
            raise typer.BadParameter(f"--input {name!r} is given twice")
        inputs[name] = _from_file(Path(value[1:])) if value.startswith("@") else _json(value, text)
    return inputs


def _from_file(path: Path) -> Any:
    try:
        if path.suffix == ".npy":
            import numpy as np

            return np.load(path, allow_pickle=False)
        if path.suffix == ".json":
            return _json(path.read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"cannot read {path}: {error}") from error
    raise typer.BadParameter(f"{path} is no .npy and no .json file")


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{where!r} is no JSON ({error}); text needs quotes: NAME='[\"text\"]'"
        ) from error
