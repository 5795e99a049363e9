"""Unpacking pushed files that nobody trusts: only plain files, only inside, only whole, only up to a limit.

Runs in the checker's child process, for an archive's own headers can eat time and memory too.
"""

from __future__ import annotations

import gzip
import lzma
import operator
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from headrace import errors
from headrace.language.folder_layout import find_language_graph, is_language_folder
from headrace.model_files.artifact_names import ArtifactPaths
from headrace.model_files.foreign_formats import format_of_files, not_onnx
from headrace.model_files.platform_metadata import is_platform_metadata
from headrace_registry.adapters.blobs.disk import disk_errors, disk_full
from headrace_registry.adapters.checks.archive_reader import open_tar_bytes
from headrace_registry.domain.pushes.artifacts import Format

GRAPH_NAME = "model.onnx"
_COPY_BYTES = 1 << 20
ALWAYS_UNPACKED_BYTES = 1 << 30
"""What any archive may unpack to: weights that were never trained pack to nothing."""
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
    """The most that may come out of an archive: bytes, entries, and bytes for each byte of its own."""

    total_bytes: int
    files: int
    disk_bytes: int
    expansion: int


def unpack(
    file: Path,
    file_format: Format,
    folder: Path,
    limits: UnpackLimits,
    *,
    as_tensors: bool = False,
) -> str:
    """Unpack into `folder`, which it makes, and give the path of the graph in it.

    The graph of a language model is where its files say, unless its tensors alone are of interest.

    An archive whose files all lie in one folder is taken as that folder. What systems and tools leave
    (macOS's `__MACOSX` and `._*`) is passed over. Raises InvalidArgument
    (ARCHIVE_UNSAFE_PATH, ARCHIVE_UNSAFE_ENTRY, ARCHIVE_DUPLICATE_PATH, ARCHIVE_DAMAGED, GRAPH_NOT_FOUND,
    GRAPH_AMBIGUOUS, MODEL_NOT_ONNX) and ResourceExhausted (ARCHIVE_TOO_LARGE, ARCHIVE_EXPANDS_TOO_MUCH,
    ARCHIVE_TOO_MANY_FILES, DISK_FULL).
    """
    if file_format is Format.ONNX:
        put_graph(file, folder)
        return GRAPH_NAME
    unpacked = folder.with_name(folder.name + ".unpacked")
    unpacked.mkdir()
    writer = _Writer(unpacked, limits, file.stat().st_size)
    with disk_errors(), _archive_errors():
        (_unpack_zip if file_format is Format.ZIP else _unpack_tar)(file, writer)
    _top_of(unpacked).rename(folder)
    return find_graph(folder) if as_tensors else _find_any_graph(folder)


def put_graph(file: Path, folder: Path) -> None:
    """Make a folder with a pushed graph, which keeps its own name: so it can be checked again."""
    folder.mkdir()
    try:
        os.link(file, folder / GRAPH_NAME)
    except OSError:  # a file system without links
        shutil.copyfile(file, folder / GRAPH_NAME)


def _find_any_graph(folder: Path) -> str:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return find_language_graph(folder, names) if is_language_folder(names) else find_graph(folder)


def find_graph(folder: Path) -> str:
    """The graph among the files at the top. Raises InvalidArgument (GRAPH_NOT_FOUND, GRAPH_AMBIGUOUS)."""
    graphs = sorted(path.name for path in folder.iterdir() if path.suffix == ".onnx")
    if GRAPH_NAME in graphs:
        return GRAPH_NAME
    if not graphs:
        _refuse_other_formats(folder)
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


def _refuse_other_formats(folder: Path) -> None:
    """Refuse a model of another framework. Raises InvalidArgument (MODEL_NOT_ONNX)."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    found = None if any(name.endswith(".onnx") for name in names) else format_of_files(names)
    if found is not None:
        raise not_onnx("the archive", found)


def _elsewhere(folder: Path) -> str:
    """Return what to say of graphs that lie deeper: archives of a pipeline hold one in each folder."""
    graphs = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.onnx"))
    if not graphs:
        return ""
    more = f" and {len(graphs) - _MOST_NAMED} more" if len(graphs) > _MOST_NAMED else ""
    return f", or push one of {', '.join(graphs[:_MOST_NAMED])}{more} by itself"


class _Writer:
    """Writes the files of an archive under one folder and counts what it reads and writes."""

    def __init__(self, folder: Path, limits: UnpackLimits, archive_bytes: int) -> None:
        self._folder = folder
        self._limits = limits
        self._archive_bytes = archive_bytes
        self._paths = ArtifactPaths()
        self._read = 0
        self._written = 0
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

    def count_read(self, size: int) -> None:
        """So many more bytes came out of the archive, whatever becomes of them."""
        self._read += size
        self._check(self._read)

    def write(self, name: str, source: IO[bytes]) -> None:
        """Write one file. Raises as `unpack` does."""
        target = self._folder / self._paths.add(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            while chunk := source.read(_COPY_BYTES):
                self._written += len(chunk)
                self._check(self._written)
                out.write(chunk)

    def _check(self, size: int) -> None:
        if size > self._limits.total_bytes:
            raise errors.ResourceExhausted(
                "ARCHIVE_TOO_LARGE",
                f"the archive unpacks to more than {self._limits.total_bytes} bytes (the registry's "
                "setting max_unpacked_bytes)",
                facts={"limit": str(self._limits.total_bytes), "setting": "max_unpacked_bytes"},
            )
        if size > self._limits.disk_bytes:
            raise disk_full()
        if size > ALWAYS_UNPACKED_BYTES + self._limits.expansion * self._archive_bytes:
            raise errors.ResourceExhausted(
                "ARCHIVE_EXPANDS_TOO_MUCH",
                f"the archive has {self._archive_bytes} bytes and unpacks to {size} or more; over 1 GiB "
                f"only {self._limits.expansion} for each of its own may come out (the registry's setting "
                "max_expansion); push it unpacked, as a folder or a .tar",
                facts={"limit": str(self._limits.expansion), "setting": "max_expansion"},
            )


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
    with (
        open_tar_bytes(file, writer.count_read) as reader,
        tarfile.open(fileobj=reader, mode="r:") as archive,  # type: ignore[call-overload]
    ):
        while (member := archive.next()) is not None:
            writer.count_entry()
            if not (member.isdir() or _is_passed_over(member.name)):
                writer.write(member.name, _content(archive, member))
        reader.finish()


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    if member.issparse():
        _check_parts(member)
    source = archive.extractfile(member) if member.isreg() else None
    if source is None:
        raise _unsafe_entry(member.name)
    return source


def _check_parts(member: tarfile.TarInfo) -> None:
    """A sparse file's parts must be in order and inside: `tarfile` looks for ever for what is in none."""
    sparse: Any = member
    parts = [(offset, size) for offset, size in sparse.sparse if size]
    ends = [0, *(offset + size for offset, size in parts)]
    starts = [*(offset for offset, _ in parts), member.size]
    if any(size < 0 for _, size in parts) or any(map(operator.lt, starts, ends)):
        raise ValueError(f"the parts of {member.name[:200]!r} are not in order")
    sparse.sparse = parts


def _is_passed_over(name: str) -> bool:
    return is_platform_metadata(PurePosixPath(name))


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


def _unsafe_entry(name: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "ARCHIVE_UNSAFE_ENTRY",
        f"the archive's entry {name[:200]!r} is a link, a device or encrypted: only plain files are taken",
    )
