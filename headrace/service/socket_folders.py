"""Folders for Unix sockets, whose paths have to be short."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from headrace import errors

MAX_SOCKET_PATH_BYTES = 103
"""The length of `sun_path` less its closing zero: 107 on Linux, 103 on macOS."""
_OTHERS = ("/tmp", "/var/tmp")  # noqa: S108 - whoever uses them makes a private folder there


def short_temporary_folder(below: str) -> Path:
    """The temporary folder if a socket may lie at `below` in it, else another of the system's.

    Raises FailedPrecondition (SOCKET_PATH_TOO_LONG) where each that can be written is too long.
    """
    for folder in _candidates():
        if len(os.fsencode(folder / below)) <= MAX_SOCKET_PATH_BYTES:
            return folder
    raise errors.FailedPrecondition(
        "SOCKET_PATH_TOO_LONG",
        f"{Path(tempfile.gettempdir()) / below} is longer than the {MAX_SOCKET_PATH_BYTES} bytes that a "
        "Unix socket's path may have; set TMPDIR to a shorter folder",
    )


def _candidates() -> Iterator[Path]:
    yield Path(tempfile.gettempdir())
    for name in _OTHERS:
        if os.access(name, os.W_OK | os.X_OK):
            yield Path(name)
