"""The files of a version in a folder, and folders with the same files and another graph."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from headrace.model_files.external_data import external_files

if TYPE_CHECKING:
    from onnx import ModelProto

MOST_IN_ONE_FILE = 1_800_000_000
"""protobuf takes no message of 2 GiB."""


@dataclass(frozen=True, slots=True)
class ArtifactFolder:
    """A folder that can be pushed, and where its graph is."""

    folder: Path
    graph_path: str

    @property
    def graph(self) -> Path:
        """Return the graph's file."""
        return self.folder / self.graph_path

    @property
    def size_bytes(self) -> int:
        """Count the bytes of all files."""
        return sum(path.stat().st_size for path in self.files().values())

    @property
    def model_bytes(self) -> int:
        """Count the bytes of the graph and its weights."""
        outside = external_files(self.graph).values()
        return sum(path.stat().st_size for path in (self.graph, *outside))

    def files(self) -> dict[str, Path]:
        """All files by their paths in the folder."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return dict(sorted((path.relative_to(self.folder).as_posix(), path) for path in found))

    def load(self) -> ModelProto:
        """The graph with all its weights."""
        import onnx

        return onnx.load(self.graph)

    def with_graph(self, model: ModelProto, folder: Path) -> ArtifactFolder:
        """Write the same files with another graph into a new folder; its weights lie where they lay.

        What lay outside the graph does so again, and what is too large for one file.
        """
        import onnx

        beside = external_files(self.graph)
        made = self._copied(folder, without=beside)
        if beside or model.ByteSize() > MOST_IN_ONE_FILE:
            location = next(iter(beside), f"{PurePosixPath(self.graph_path).name}.data")
            place = made.graph.parent / location
            place.parent.mkdir(parents=True, exist_ok=True)
            onnx.save(model, made.graph, save_as_external_data=True, location=location)
        else:
            onnx.save(model, made.graph)
        return made

    def _copied(self, folder: Path, without: dict[str, Path]) -> ArtifactFolder:
        gone = {self.graph.resolve(), *(path.resolve() for path in without.values())}
        made = ArtifactFolder(folder, self.graph_path)
        made.graph.parent.mkdir(parents=True, exist_ok=True)
        for name, path in self.files().items():
            if path.resolve() not in gone:
                _link(path, folder / name)
        return made


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
