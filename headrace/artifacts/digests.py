"""The digest of an artifact: one number for all its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

Files = Mapping[str, str]
"""The SHA-256 of each file (64 hex digits), by its relative path with '/'."""


def artifact_digest(files: Files) -> str:
    """The SHA-256 over the files' digests and paths, in the order of their paths."""
    lines = (f"{sha256}  {path}\n" for path, sha256 in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
