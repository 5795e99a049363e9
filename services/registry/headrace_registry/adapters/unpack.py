"""Unpacking pushed files that nobody trusts: only plain files, only inside, only up to a limit.

Runs in the checker's child process, for an archive's own headers can eat time and memory too.
"""

from __future__ import annotations

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from headrace import errors
from headrace.platform_metadata import is_platform_metadata
from headrace_registry.adapters.disk import disk_errors
from headrace_registry.domain.artifacts import Format

GRAPH_NAME = "model.onnx"
_COPY_BYTES = 1 << 20
_MAX_PATH_CHARACTERS = 1024
_MAX_NAME_CHARACTERS = 255
_MOST_NAMED = 5
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    gzip.BadGzipFile,
    RuntimeError,
    ValueError,
)
"""What zipfile and tarfile raise on bytes that are no archive, or one that they cannot read."""


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """How much may come out of an archive."""

    total_bytes: int
    files: int


def unpack(file: Path, file_format: Format, folder: Path, limits: UnpackLimits) -> str:
    """Unpack into `folder`, which it makes, and give the path of the graph in it.

    An archive whose files all lie in one folder is taken as that folder. What systems and tools leave
    (macOS's `__MACOSX` and `._*`) is passed over. Raises InvalidArgument
    (ARCHIVE_UNSAFE_PATH, ARCHIVE_UNSAFE_ENTRY, ARCHIVE_DUPLICATE_PATH, ARCHIVE_DAMAGED, GRAPH_NOT_FOUND,
    GRAPH_AMBIGUOUS) and ResourceExhausted (ARCHIVE_TOO_LARGE, ARCHIVE_TOO_MANY_FILES).
    """
    if file_format is Format.ONNX:
        folder.mkdir()
        file.rename(folder / GRAPH_NAME)
        return GRAPH_NAME
    unpacked = folder.with_name(folder.name + ".unpacked")
    unpacked.mkdir()
    writer = _Writer(unpacked, limits)
    with disk_errors(), _archive_errors():
        (_unpack_zip if file_format is Format.ZIP else _unpack_tar)(file, writer)
    _top_of(unpacked).rename(folder)
    return find_graph(folder)


def find_graph(folder: Path) -> str:
    """The graph among the files at the top. Raises InvalidArgument (GRAPH_NOT_FOUND, GRAPH_AMBIGUOUS)."""
    graphs = sorted(path.name for path in folder.iterdir() if path.suffix == ".onnx")
    if GRAPH_NAME in graphs:
        return GRAPH_NAME
    if not graphs:
        raise errors.InvalidArgument(
            "GRAPH_NOT_FOUND",
            f"the archive has no .onnx file at its top: put the graph there{_elsewhere(folder)}",
        )
    if len(graphs) > 1:
        raise errors.InvalidArgument(
            "GRAPH_AMBIGUOUS",
            f"the archive has {len(graphs)} .onnx files at its top: call one of them {GRAPH_NAME}",
        )
    return graphs[0]


def _elsewhere(folder: Path) -> str:
    """What to say of graphs that lie deeper: archives of a pipeline hold one in each folder."""
    graphs = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.onnx"))
    if not graphs:
        return ""
    more = f" and {len(graphs) - _MOST_NAMED} more" if len(graphs) > _MOST_NAMED else ""
    return f", or push one of {', '.join(graphs[:_MOST_NAMED])}{more} by itself"


class _Writer:
    """Writes the files of an archive under one folder and counts what it writes."""

    def __init__(self, folder: Path, limits: UnpackLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._bytes = 0
        self._entries = 0

    def count_entry(self) -> None:
        """One more entry of whatever kind, for folders cost something too."""
        self._entries += 1
        if self._entries > self._limits.files:
            raise errors.ResourceExhausted(
                "ARCHIVE_TOO_MANY_FILES",
                f"the archive has more than {self._limits.files} entries (the registry's setting "
                "max_artifact_files): push the graph with what it needs, or raise the setting",
                facts={"limit": str(self._limits.files), "setting": "max_artifact_files"},
            )

    def write(self, name: str, source: IO[bytes]) -> None:
        """Write one file. Raises as `unpack` does."""
        target = self._folder / safe_path(name)
        _make_folder(target.parent, name)
        if target.exists():
            raise _duplicate(name)
        with target.open("xb") as out:
            while chunk := source.read(_COPY_BYTES):
                self._count_bytes(len(chunk))
                out.write(chunk)

    def _count_bytes(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._limits.total_bytes:
            raise errors.ResourceExhausted(
                "ARCHIVE_TOO_LARGE",
                f"the archive unpacks to more than {self._limits.total_bytes} bytes (the registry's "
                "setting max_unpacked_bytes)",
                facts={"limit": str(self._limits.total_bytes), "setting": "max_unpacked_bytes"},
            )


def safe_path(name: str) -> PurePosixPath:
    """The relative path of an archive's entry. Raises InvalidArgument (ARCHIVE_UNSAFE_PATH)."""
    path = PurePosixPath(name)
    unsafe = (
        not path.parts
        or path.is_absolute()
        or ".." in path.parts
        or len(name) > _MAX_PATH_CHARACTERS
        or any(len(part.encode()) > _MAX_NAME_CHARACTERS for part in path.parts)
        or any(character in '\\:"<>|?*' or not character.isprintable() for character in name)
    )
    if unsafe:
        raise errors.InvalidArgument(
            "ARCHIVE_UNSAFE_PATH",
            f"the archive has an entry {name[:200]!r}: paths must be relative, stay inside, and have "
            "plain names",
        )
    return path


def _unpack_zip(file: Path, writer: _Writer) -> None:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            writer.count_entry()
            mode = info.external_attr >> 16
            if info.is_dir() or _is_passed_over(info.filename):
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG) or info.flag_bits & 1:
                raise _unsafe_entry(info.filename)
            with archive.open(info) as source:
                writer.write(info.filename, source)


def _unpack_tar(file: Path, writer: _Writer) -> None:
    with tarfile.open(file, "r:*") as archive:
        while (member := archive.next()) is not None:
            writer.count_entry()
            if member.isdir() or _is_passed_over(member.name):
                continue
            source = archive.extractfile(member) if member.isreg() else None
            if source is None:
                raise _unsafe_entry(member.name)
            writer.write(member.name, source)


def _is_passed_over(name: str) -> bool:
    return is_platform_metadata(PurePosixPath(name))


def _make_folder(folder: Path, name: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise _duplicate(name) from None


def _top_of(unpacked: Path) -> Path:
    entries = list(unpacked.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else unpacked


@contextmanager
def _archive_errors() -> Iterator[None]:
    try:
        yield
    except errors.HeadraceError:
        raise
    except _DAMAGED as error:
        raise errors.InvalidArgument(
            "ARCHIVE_DAMAGED", f"the archive cannot be read: {str(error)[:300]}"
        ) from error


def _duplicate(name: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "ARCHIVE_DUPLICATE_PATH", f"the archive has more than one entry {name[:200]!r}"
    )


def _unsafe_entry(name: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "ARCHIVE_UNSAFE_ENTRY",
        f"the archive's entry {name[:200]!r} is a link, a device or encrypted: only plain files are taken",
    )
