"""Reads the JSON files that lie beside a language model's graph, which nobody trusts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headrace import errors

MAX_CONFIG_BYTES = 8 << 20
"""Of a file of settings; those that are written by tools have a few kilobytes."""
MAX_TOKENIZER_BYTES = 256 << 20
"""Of a tokenizer.json, which has one entry or two for each token."""

Config = Mapping[str, Any]
"""A JSON object, of which nothing but that is known."""


def read_config(path: Path) -> Config:
    """Return the object in a file, and an empty one where there is no such file.

    Raises InvalidArgument (LANGUAGE_FILES_INVALID).
    """
    held = _read_json(path, {})
    if not isinstance(held, dict):
        raise invalid(f"{path.name} is not a JSON object")
    return held


def read_objects(path: Path) -> Sequence[Config]:
    """Return the list of objects in a file, and an empty one where there is no such file.

    Raises InvalidArgument (LANGUAGE_FILES_INVALID).
    """
    held = _read_json(path, [])
    if not isinstance(held, list) or not all(isinstance(one, dict) for one in held):
        raise invalid(f"{path.name} is not a JSON list of objects")
    return held


def _read_json(path: Path, missing: Any) -> Any:
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return missing
    if size > MAX_CONFIG_BYTES:
        raise invalid(f"{path.name} has {size} bytes, and at most {MAX_CONFIG_BYTES} are read")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise invalid(f"{path.name} is not JSON: {str(error)[:200]}") from error


def read_added_tokens(path: Path) -> list[Config]:
    """Return the tokens that a tokenizer.json lists beside its vocabulary, without reading that.

    An empty list where there is no such file, or no such list in it.
    """
    try:
        if path.stat().st_size > MAX_TOKENIZER_BYTES:
            return []
        held = path.read_text("utf-8", errors="replace")
        begin = held.index("[", held.index('"added_tokens"'))
        listed, _ = json.JSONDecoder().raw_decode(held, begin)
    except (OSError, ValueError, RecursionError):
        return []
    return [one for one in listed if isinstance(one, dict)]


def integer(config: Config, *keys: str) -> int:
    """Return the first of these keys that has a number; 0 where none has."""
    for key in keys:
        held = config.get(key)
        if isinstance(held, int) and not isinstance(held, bool):
            return held
    return 0


def number(config: Config, key: str) -> float | None:
    """Return the number of a key, or None."""
    held = config.get(key)
    return float(held) if isinstance(held, int | float) and not isinstance(held, bool) else None


def text(config: Config, key: str) -> str:
    """Return the text of a key, '' where there is none."""
    held = config.get(key)
    return held if isinstance(held, str) else ""


def part(config: Config, key: str) -> Config:
    """Return the object of a key, an empty one where there is none."""
    held = config.get(key)
    return held if isinstance(held, dict) else {}


def token_ids(config: Config, key: str) -> tuple[int, ...]:
    """Return the tokens of a key, whose value may be one or a list."""
    held = config.get(key)
    listed = held if isinstance(held, list) else [held]
    return tuple(one for one in listed if isinstance(one, int) and not isinstance(one, bool))


def invalid(what: str) -> errors.InvalidArgument:
    """The refusal of files that contradict themselves or one another."""
    return errors.InvalidArgument(
        "LANGUAGE_FILES_INVALID", f"the language model is not taken: {what}"
    )


def unsupported(what: str) -> errors.InvalidArgument:
    """The refusal of a model that is whole, and that the engine cannot run."""
    return errors.InvalidArgument(
        "GENERATION_UNSUPPORTED", f"the language model is not taken: {what}"
    )
