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
    """Leave a key for the registry with this data folder, whole or not at all. Raises OSError.

    Root leaves it as the account that the data folder is of, which the registry runs as.
    """
    folder = data / FOLDER
    owner = _owner(data)
    for made in _made(folder):
        _give(made, owner)
    handle, name = tempfile.mkstemp(prefix=".", dir=folder)  # 0600
    with os.fdopen(handle, "wb") as file:
        file.write(encode(key))
        file.flush()
        os.fsync(file.fileno())
    _give(Path(name), owner)
    target = folder / f"{key.id}{_ENDING}"
    Path(name).replace(target)
    return target


def _owner(data: Path) -> tuple[int, int]:
    """The account and group of a folder, or of the nearest one above that is there."""
    there = next(path for path in (data, *data.absolute().parents) if path.is_dir())
    found = there.stat()
    return found.st_uid, found.st_gid


def _made(folder: Path) -> list[Path]:
    """Make a folder and those above it, 0700; those that were not there."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    return missing


def _give(path: Path, owner: tuple[int, int]) -> None:
    if os.geteuid() == 0 and owner[0] != 0:
        os.chown(path, *owner)


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
