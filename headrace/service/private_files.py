"""Makes files and folders that only the service's account can read: 0600 and 0700.

Models, records of who changed what, and addresses with passwords lie there. New files get such modes by the
process's umask; what an earlier version, or a copy from a backup, left more open is closed at the start.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

logger = logging.getLogger(__name__)

UMASK = 0o077


def use_private_umask() -> None:
    """From now on this process, and those that it starts, make files for their account alone."""
    os.umask(UMASK)


def write_private(file: Path, text: str) -> None:
    """Write a file that this account alone can read, whatever was there. Raises OSError."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
    new.replace(file)


def make_private(folder: Path, own: Iterable[str]) -> None:
    """Take all rights of others from what a service has in `folder`, where it is there already.

    `own` are the names of what is the service's there, with `*` for anything. The folder itself is closed
    only while nothing else is in it: a home folder that was given as the data folder stays as it is. What
    belongs to another account stays as well, with a warning.
    """
    patterns = list(own)
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    ours = [path for path in entries if any(fnmatch(path.name, name) for name in patterns)]
    closed = [*ours, folder] if entries == ours else ours
    left = [path for path in closed if path.exists() and not _close(path, whole=path != folder)]
    if left:
        logger.warning(
            "others may read %s, which cannot be changed: give it to this account, or close it",
            left[0],
        )


def _close(path: Path, *, whole: bool) -> bool:
    """Close a file, or a folder after all that is in it; False where that was not allowed.

    A folder that is closed was closed with what is in it, so that starts do not walk through it.
    """
    if not _open_to_others(path):
        return True
    try:
        for inner in _tree(path) if whole else ():
            _chmod(inner)
        _chmod(path)
    except PermissionError:
        return False
    return True


def _tree(path: Path) -> Iterator[Path]:
    """All that is under a folder; what goes meanwhile is passed over."""
    for folder, _, files in os.walk(path):
        if folder != str(path):
            yield Path(folder)
        for name in files:
            yield Path(folder) / name


def _open_to_others(path: Path) -> bool:
    return bool(path.stat().st_mode & UMASK) and not path.is_symlink()


def _chmod(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & UMASK:
            path.chmod(stat.S_IMODE(mode) & ~UMASK)
    except FileNotFoundError:
        return
