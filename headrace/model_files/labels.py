"""Where an artifact keeps the names of an output's classes, one a line."""

from __future__ import annotations

LABELS = "labels.txt"
"""The labels of output `y` lie beside the graph as `y.labels.txt`, those of any output as `labels.txt`."""

MAX_OUTPUT_NAME_BYTES = 240
"""With the ending, what a file's name may have on every file system."""

_UNSAFE = frozenset('/\\:"<>|?*')
"""What a file's name in an artifact may not have."""


def label_path(output: str, *, alone: bool) -> str | None:
    """Where an artifact keeps an output's labels; None where its name cannot be a file's."""
    plain = output.isprintable() and not _UNSAFE & set(output)
    if plain and len(output.encode()) <= MAX_OUTPUT_NAME_BYTES:
        return f"{output}.{LABELS}"
    return LABELS if alone else None
