"""The files of a folder that is pushed, links followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from headrace import errors
from headrace.model_files.platform_metadata import is_platform_metadata


def folder_files(folder: Path) -> dict[str, Path]:
    """The files in and below `folder` by their relative paths, in order.

    A link counts as the file or folder that it leads to. What systems and tools leave there is passed
    over. Raises InvalidArgument: ARTIFACT_EMPTY; ARTIFACT_NOT_PLAIN for a link that leads nowhere or back
    up, and for devices, sockets and pipes.
    """
    _refuse_cache(folder)
    files = {path.relative_to(folder).as_posix(): path for path in _files_below(folder, ())}
    if not files:
        raise errors.InvalidArgument("ARTIFACT_EMPTY", f"the folder {folder} has no files")
    return dict(sorted(files.items()))


def _refuse_cache(folder: Path) -> None:
    """A model's folder in Hugging Face's cache has every revision, and each file as a blob again."""
    snapshots = folder / "snapshots"
    if (folder / "blobs").is_dir() and snapshots.is_dir():
        revisions = ", ".join(str(path) for path in sorted(snapshots.iterdir()))
        raise errors.InvalidArgument(
            "ARTIFACT_NOT_PLAIN",
            f"{folder} is a model's whole cache; push one of its revisions: {revisions or 'there is none'}",
        )


def _files_below(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:
        raise _not_plain(folder, f"is a link that leads back to {real}")
    for path in folder.iterdir():
        if is_platform_metadata(PurePosixPath(path.name)):
            continue
        if path.is_dir():
            yield from _files_below(path, (*above, real))
        else:
            yield _existing_file(path)


def _existing_file(path: Path) -> Path:
    if path.is_file():
        return path
    if path.is_symlink():
        raise _not_plain(path, f"is a link to {os.readlink(path)!r}, which is not there")  # noqa: PTH115
    raise _not_plain(path, "is a device, a socket or a pipe")


def _not_plain(path: Path, what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "ARTIFACT_NOT_PLAIN", f"{path} {what}; an artifact holds files only: put the file there"
    )
