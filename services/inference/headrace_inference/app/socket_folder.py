"""Makes the folder of the socket between the native front and the server behind it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.errors import FailedPrecondition
from headrace.service.socket_folders import short_temporary_folder
from headrace_inference.settings import Settings

SOCKET_NAME = "fallback.sock"
OTHERS_NAME = "others.sock"
"""Of the server behind that one; no longer than it."""


@contextmanager
def socket_folder(settings: Settings, purpose: str = "") -> Iterator[Path]:
    """A private folder with a short path, since a socket's has 107 bytes at most; gone on leaving.

    The same for every life of a replica, so that one that was killed leaves nothing for ever. Raises
    FailedPrecondition (SOCKET_FOLDER_TAKEN) where somebody else made it first, or (SOCKET_PATH_TOO_LONG).
    """
    whose = f"{settings.data.absolute()} {settings.replica_id}{purpose}"
    name = hashlib.sha256(whose.encode()).hexdigest()
    own = f"headrace-{os.getuid()}-{name[:16]}"
    folder = short_temporary_folder(f"{own}/{SOCKET_NAME}") / own
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise FailedPrecondition(
            "SOCKET_FOLDER_TAKEN", f"{folder} is somebody else's; remove it or set TMPDIR"
        )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
