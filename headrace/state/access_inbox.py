"""The folder by which keys get into a registry without a server: who may write there is trusted.

Each file is one key, without its secret. The registry takes a file in and deletes it. So the first admin's
key can be made before there is anybody who could be asked for it, and no suite has a default key.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace import errors
from headrace.state.access_records import GrantRecord
from headrace.state.codec import decode, encode

FOLDER = "access-inbox"
"""In the registry's data folder."""

BOOTSTRAP = "bootstrap"
"""The actor of what comes by it."""

_ENDING = ".json"
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class PostedKey:
    """A key for the registry. With `replaces` those of the subject that have the same note end soon."""

    id: str
    subject: str
    digest: str
    created_at: float
    expires_at: float = 0.0
    grants: tuple[GrantRecord, ...] = ()
    note: str = ""
    replaces: bool = False


def post(data: Path, key: PostedKey) -> Path:
    """Leave a key for the registry with this data folder, whole or not at all. Raises OSError."""
    folder = data / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", dir=folder)  # 0600
    with os.fdopen(handle, "wb") as file:
        file.write(encode(key))
        file.flush()
        os.fsync(file.fileno())
    target = folder / f"{key.id}{_ENDING}"
    Path(name).replace(target)
    return target


def posted(data: Path) -> Iterator[tuple[Path, PostedKey]]:
    """The keys that were left, each with its file.

    Raises DataLoss (STATE_UNREADABLE) for a file that is none, OSError.
    """
    folder = data / FOLDER
    if not folder.is_dir():
        return
    for path in sorted(folder.glob(f"*{_ENDING}")):
        _check_trusted(path)
        yield path, decode(PostedKey, path.read_bytes())


def _check_trusted(path: Path) -> None:
    """Pass if only this account, or root, could write a file. Raises DataLoss (STATE_UNREADABLE)."""
    found = path.lstat()
    trusted = found.st_uid in (os.geteuid(), 0) and not found.st_mode & 0o022
    if path.is_symlink() or not trusted or found.st_size > _MAX_BYTES:
        raise errors.DataLoss(
            "STATE_UNREADABLE",
            f"{path} is not taken in: others may write it, it is a link, or it is too large; delete it",
        )
