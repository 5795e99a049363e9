"""Folders for Unix sockets, whose paths have to be short."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def private_folder(purpose: str, data: Path, longest: str) -> Iterator[Path]:
    """An empty folder with a short path that only this account may enter; gone on leaving.

    The same for a purpose and a data folder, so that one that was killed leaves nothing for ever; whoever
    asks holds the data folder. `longest` is the longest name of a socket in it. Raises FailedPrecondition
    (SOCKET_FOLDER_TAKEN) where somebody else made it first, or (SOCKET_PATH_TOO_LONG).
    """
    whose = hashlib.sha256(os.fsencode(data.absolute())).hexdigest()[:16]
    own = f"headrace-{os.getuid()}-{whose}-{purpose}"
    folder = short_temporary_folder(f"{own}/{longest}") / own
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise errors.FailedPrecondition(
            "SOCKET_FOLDER_TAKEN", f"{folder} is somebody else's; remove it or set TMPDIR"
        )
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _candidates() -> Iterator[Path]:
    yield Path(tempfile.gettempdir())
    for name in _OTHERS:
        if os.access(name, os.W_OK | os.X_OK):
            yield Path(name)
