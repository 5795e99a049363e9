"""Prepares the bytes of a push: one file, or a folder packed into one, with size and digest."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from headrace import errors
from headrace.client.folder import folder_files
from headrace.language.folder_layout import is_language_folder, needed_files
from headrace.model_files.artifact_names import ArtifactPaths
from headrace.model_files.external_data import external_files
from headrace.model_files.foreign_formats import (
    PICKLE,
    format_of_content,
    format_of_files,
    format_of_name,
    not_onnx,
)

CHUNK_BYTES = 1 << 20
"""Large enough that a message's overhead does not show, a quarter of what the registry takes."""

ENDINGS = (".onnx", ".zip", ".tar", ".tar.gz", ".tgz")
Phase = Literal["packing", "hashing", "waiting", "sending", "checking"]

Source = Path | str | bytes | Mapping[str, Path]
"""What can be pushed: a path, a graph as bytes, or files by their paths in the artifact."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a push: bytes done of `total_bytes` in its present phase."""

    phase: Phase
    done_bytes: int
    total_bytes: int


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Artifact:
    """An open file with the name under which it is pushed; whoever opened it closes it."""

    filename: str
    file: IO[bytes]
    size_bytes: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sha256(self, report: Report) -> str:
        """The SHA-256 of all of it, 64 hex digits."""
        digest = hashlib.sha256()
        for chunk in self.chunks("hashing", report):
            digest.update(chunk)
        return digest.hexdigest()

    def chunks(self, phase: Phase, report: Report) -> Iterator[bytes]:
        """All of it from the start, piece by piece, reporting at the start and after each.

        Ends early when it is closed meanwhile.
        """
        position = 0
        report(Progress(phase, 0, self.size_bytes))
        while chunk := self._read_at(position):
            yield chunk
            position += len(chunk)
            report(Progress(phase, position, self.size_bytes))

    def _read_at(self, position: int) -> bytes:
        # A call that broke may still read while the next one starts: neither may move the other's place.
        with self.lock:
            if self.file.closed:
                return b""
            self.file.seek(position)
            return self.file.read(CHUNK_BYTES)

    def close(self) -> None:
        """Close the file, between two reads."""
        with self.lock:
            self.file.close()


@contextmanager
def open_artifact(source: Source, report: Report) -> Iterator[Artifact]:
    """Yield what `source` names, to be read while inside: an .onnx, an archive, a folder, or bytes.

    An .onnx brings its external data with it. A link counts as the file or folder that it leads to.
    Raises InvalidArgument for what is not there, for what is no artifact, and for names of files that are
    not the same on every system.
    """
    try:
        artifact = _opened(source, report)
    except OSError as error:
        raise errors.InvalidArgument(
            "ARTIFACT_UNREADABLE", f"what is to be pushed cannot be read: {error}"
        ) from error
    try:
        yield artifact
    finally:
        artifact.close()


def _opened(source: Source, report: Report) -> Artifact:
    if isinstance(source, bytes):
        return Artifact("model.onnx", io.BytesIO(source), len(source))
    if isinstance(source, Mapping):
        return _packed("artifact.tar", source, report)
    path = Path(source)
    members = members_of(path)
    if not members:
        return Artifact(path.name, path.open("rb"), path.stat().st_size)
    # A link keeps its own name: what it leads to may be called by its digest.
    return _packed(f"{Path(os.path.abspath(path)).stem}.tar", members, report)  # noqa: PTH100


def _packed(filename: str, members: Mapping[str, Path], report: Report) -> Artifact:
    paths = ArtifactPaths()
    for name in members:
        paths.add(name)
    file = tempfile.TemporaryFile(prefix="headrace-push-")  # noqa: SIM115 the artifact closes it
    try:
        _pack(file, members, report)
    except BaseException:
        file.close()
        raise
    return Artifact(filename, file, file.tell())


def members_of(path: Path) -> Mapping[str, Path]:
    """The files that must travel together, or none where the path is one file that travels as it is."""
    if path.is_dir():
        return _folder_with_graph(path)
    if not path.is_file():
        raise errors.InvalidArgument("ARTIFACT_NOT_FOUND", f"there is no file or folder {path}")
    _check_format(path)
    external = external_files(path) if path.suffix.lower() == ".onnx" else {}
    return {path.name: path, **external} if external else {}


def choose_graph(source: Source, graph: str) -> Mapping[str, Path]:
    """The files of a folder of which this is the graph; a folder may have several.

    Raises InvalidArgument (GRAPH_NOT_FOUND, ARTIFACT_NOT_FOUND, LANGUAGE_FILES_INVALID, …).
    """
    if isinstance(source, bytes) or (not isinstance(source, Mapping) and not Path(source).is_dir()):
        raise errors.InvalidArgument(
            "ARTIFACT_KIND_UNKNOWN", f"{graph[:200]!r} is chosen of a folder: push the folder"
        )
    files = source if isinstance(source, Mapping) else folder_files(Path(source))
    return needed_files(files, graph)


def _folder_with_graph(folder: Path) -> Mapping[str, Path]:
    files = folder_files(folder)
    if is_language_folder(files):
        return needed_files(files)
    found = None if any(name.endswith(".onnx") for name in files) else format_of_files(files)
    if found is not None:
        raise not_onnx(folder.name, found)
    return files


def _check_format(path: Path) -> None:
    """Refuse, before it is sent, what the registry is going to refuse: another format, or an empty file."""
    if not path.stat().st_size:
        raise errors.InvalidArgument(
            "ARTIFACT_EMPTY", f"{path.name} is empty (0 bytes): export it, or copy it, again"
        )
    is_known = path.name.lower().endswith(ENDINGS)
    found = format_of_content(path)
    if not is_known and found in (None, PICKLE):  # of a pickle, the name says more
        found = format_of_name(path.name) or found
    if found is not None:
        raise not_onnx(path.name, found)
    if not is_known:
        raise errors.InvalidArgument(
            "ARTIFACT_KIND_UNKNOWN",
            f"{path.name} is not a model: push a file that ends in {', '.join(ENDINGS)}, or a folder",
        )


def _pack(file: IO[bytes], members: Mapping[str, Path], report: Report) -> None:
    """Write a tar that depends on names and bytes alone, so that a repeated push has the same digest."""
    total, done = sum(path.stat().st_size for path in members.values()), 0
    report(Progress("packing", 0, total))
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in members.items():
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(member, content)
            done += member.size
            report(Progress("packing", done, total))
