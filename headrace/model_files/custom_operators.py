"""Shared libraries with custom operators: only those that whoever runs a service put into its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headrace import errors

_MOST_NAMED = 20


def find_libraries(names: Sequence[str], folder: Path | None) -> list[Path]:
    """The libraries in the folder of the setting custom_operators.

    Where none is named the folder is not read: who checks a plain model may not.
    Raises FailedPrecondition (CUSTOM_OPERATORS_UNAVAILABLE) for one that is not there, or not in it.
    """
    if not names:
        return []
    if folder is None:
        raise _unavailable(names, "this service has no folder of such libraries")
    there = _files(folder)
    missing = [name for name in names if name not in there]
    if missing:
        listed = ", ".join(sorted(there)[:_MOST_NAMED]) or "no library"
        raise _unavailable(missing, f"the folder of this service has: {listed}")
    return [there[name] for name in names]


def _files(folder: Path | None) -> dict[str, Path]:
    """By name: a name that leads elsewhere is none of them."""
    if folder is None or not folder.is_dir():
        return {}
    return {path.name: path.resolve() for path in folder.iterdir() if path.is_file()}


def _unavailable(names: Sequence[str], problem: str) -> errors.FailedPrecondition:
    listed = ", ".join(repr(name[:80]) for name in names)
    return errors.FailedPrecondition(
        "CUSTOM_OPERATORS_UNAVAILABLE",
        f"the serving config asks for custom operators from {listed}, but {problem}: put the library "
        "there, set custom_operators of the registry and of every replica to that folder, and start "
        "them again",
        facts={"setting": "custom_operators", "missing": listed},
    )
