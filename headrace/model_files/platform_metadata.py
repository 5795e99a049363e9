"""Files that systems and tools leave beside a model, and that are no part of it."""

from __future__ import annotations

from pathlib import PurePosixPath

_NAMES = frozenset(
    (
        *(
            "__MACOSX",
            ".DS_Store",
            ".AppleDouble",
            ".Spotlight-V100",
            ".Trashes",
            ".fseventsd",
            "Icon\r",
        ),
        *("Thumbs.db", "desktop.ini"),
        *(".git", ".cache"),  # a clone's history; what `hf download --local-dir` remembers
    )
)
_PREFIXES = ("._", "..")
"""macOS keeps attributes of `x` in `._x`; Kubernetes keeps the files of a volume below `..data`."""


def is_platform_metadata(path: PurePosixPath) -> bool:
    """Return whether a relative path names such a file, or one below such a folder; never `../x`."""
    return ".." not in path.parts and any(
        part in _NAMES or part.startswith(_PREFIXES) for part in path.parts
    )
