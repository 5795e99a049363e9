"""Digests of data: what was evaluated, trained or explained can be told from everything else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path, files: Iterable[str]) -> str:
    """The SHA-256 over lines `<sha256>  <path>` of files, by path, as versions have theirs."""
    lines = (f"{file_digest(folder / path)}  {path}\n" for path in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
