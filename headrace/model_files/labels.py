"""Finds the files of class names in an artifact, one name a line."""

from __future__ import annotations

from headrace import errors
from headrace.model_files.artifact_names import safe_path

LABELS = "labels.txt"
"""The labels of output `y` lie beside the graph as `y.labels.txt`, those of any output as `labels.txt`."""

MAX_OUTPUT_NAME_BYTES = 240
"""With the ending, what a file's name may have on every file system."""


def label_path(output: str, *, alone: bool) -> str | None:
    """Return where an artifact keeps an output's labels; None where its name cannot be a file's."""
    named = f"{output}.{LABELS}"
    if "/" not in output and len(output.encode()) <= MAX_OUTPUT_NAME_BYTES and _is_safe(named):
        return named
    return LABELS if alone else None


def _is_safe(name: str) -> bool:
    try:
        safe_path(name)
    except errors.InvalidArgument:
        return False
    return True
