"""Reads the files that masks take: a key for hashes, and patterns of one's own."""

from __future__ import annotations

import tomllib
from pathlib import Path

KEY_BYTES = 16
"""A shorter key could be found by trying."""
_KEYS = {"name", "regex", "action"}


def read_key(file: Path | None) -> bytes:
    """The key of a file; nothing without one. Raises ValueError for one that is too short, OSError."""
    key = file.read_bytes() if file else b""
    if file and len(key) < KEY_BYTES:
        raise ValueError(f"{file}: a key has {KEY_BYTES} bytes at least")
    return key


def read_patterns(file: Path | None) -> dict[str, tuple[str, str]]:
    """The regular expressions and actions of a file by their names. Raises ValueError, OSError."""
    if file is None:
        return {}
    found = {}
    document = tomllib.loads(file.read_text())
    masks = document.pop("mask", [])
    if document or not isinstance(masks, list):
        raise ValueError(f"{file}: tables [[mask]] are expected, and nothing else")
    for each in masks:
        if not {"name", "regex"} <= each.keys() <= _KEYS or not all(
            isinstance(value, str) for value in each.values()
        ):
            raise ValueError(f"{file}: a [[mask]] has name, regex and action, all texts: {each}")
        found[each["name"]] = (each["regex"], each.get("action", "mask"))
    return found
