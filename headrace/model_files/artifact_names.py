"""The paths that files of an artifact may have: each names one and the same file on every system.

A replica may keep its cache where names are compared without case, or where Unicode is composed: two files
that differ only so would be one there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import PurePosixPath

from headrace import errors

MAX_PATH_CHARACTERS = 1024
MAX_NAME_BYTES = 255
_MOST_SHOWN = 200
_FORBIDDEN = '\\:"<>|?*'
_PORTS = tuple(f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³")
_DEVICES = frozenset(("con", "prn", "aux", "nul", "conin$", "conout$", *_PORTS))
"""Windows takes them for devices, with any ending."""


class ArtifactPaths:
    """The paths of one artifact, each checked by itself and against those before it."""

    def __init__(self) -> None:
        self._spelled: dict[str, str] = {}
        self._taken: set[str] = set()
        self._files: set[str] = set()

    def add(self, name: str) -> PurePosixPath:
        """One more file's path. Raises InvalidArgument (ARCHIVE_UNSAFE_PATH, ARCHIVE_DUPLICATE_PATH)."""
        path = safe_path(name)
        for folder in _folders(path):
            self._claim(folder)
            if folder in self._files:
                raise _twice(folder)
        spelled = path.as_posix()
        if not self._claim(spelled):
            raise _twice(spelled)
        self._files.add(spelled)
        return path

    def _claim(self, path: str) -> bool:
        """Take the path; False where it was taken before, spelled in the same way."""
        known = self._spelled.setdefault(_folded(path), path)
        if known == path:
            new = path not in self._taken
            self._taken.add(path)
            return new
        raise _duplicate(
            f"two entries, {known[:_MOST_SHOWN]!r} and {path[:_MOST_SHOWN]!r}, whose names differ "
            f"{_difference(known, path)} only and are one file on some systems: rename one"
        )


def safe_path(name: str) -> PurePosixPath:
    """The relative path of a file. Raises InvalidArgument (ARCHIVE_UNSAFE_PATH)."""
    path = PurePosixPath(name)
    if _leaves(path) or not _is_plain(name, path):
        raise _unsafe(name, "paths must be relative, stay inside, and have plain names")
    for part in path.parts:
        if part.partition(".")[0].rstrip(" ").casefold() in _DEVICES:
            raise _unsafe(name, f"{part!r} is the name of a device on Windows: rename it")
        if part.endswith((".", " ")):
            raise _unsafe(name, "names may not end with a dot or a space, which Windows drops")
    return path


def _leaves(path: PurePosixPath) -> bool:
    return not path.parts or path.is_absolute() or ".." in path.parts


def _is_plain(name: str, path: PurePosixPath) -> bool:
    return (
        len(name) <= MAX_PATH_CHARACTERS
        and all(character not in _FORBIDDEN and character.isprintable() for character in name)
        and all(len(part.encode(errors="replace")) <= MAX_NAME_BYTES for part in path.parts)
    )


def _folders(path: PurePosixPath) -> Iterator[str]:
    return (folder.as_posix() for folder in reversed(path.parents) if folder.parts)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _difference(one: str, other: str) -> str:
    composed = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
    return "in how Unicode composes their letters" if composed else "in case"


def _unsafe(name: str, why: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "ARCHIVE_UNSAFE_PATH", f"the artifact has an entry {name[:_MOST_SHOWN]!r}: {why}"
    )


def _twice(path: str) -> errors.InvalidArgument:
    return _duplicate(f"more than one entry {path[:_MOST_SHOWN]!r}")


def _duplicate(what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument("ARCHIVE_DUPLICATE_PATH", f"the artifact has {what}")
