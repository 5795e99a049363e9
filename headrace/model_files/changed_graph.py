"""Changes a graph so that it can be served, and notes what its pusher is told about that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.model_files.labels import LABELS, label_path
from headrace.model_files.zip_maps import OPERATOR, ZipMap, declare_columns, take_off_zip_maps
from headrace.state.records import Signature, TensorSpec

if TYPE_CHECKING:
    from onnx import ModelProto

_MOST_CLASSES = 10


class ChangedGraph:
    """A graph, written anew where it had ZipMaps at its end; external data stays where it is."""

    def __init__(self, path: Path, model: ModelProto) -> None:
        """Change the graph in its folder. Nothing is written where nothing is changed."""
        self._path = path
        self._model = model
        self._zip_maps = take_off_zip_maps(model)
        self.label_files: list[str] = []
        """The files that were written for them, beside the graph."""
        if self._zip_maps:
            self._write()
            self._write_labels()

    @property
    def notices(self) -> tuple[str, ...]:
        """A sentence for each change."""
        return tuple(map(_notice, self._zip_maps))

    def complete(self, signature: Signature) -> Signature:
        """The signature with the shapes that a ZipMap knew, where ONNX Runtime does not infer them."""
        columns = {each.output: each for each in self._zip_maps}
        unknown = [
            spec.name for spec in signature.outputs if spec.unranked and spec.name in columns
        ]
        if not unknown:
            return signature
        for name in unknown:
            declare_columns(self._model, columns[name])
        self._write()
        outputs = [
            _with_columns(spec, columns[spec.name]) if spec.name in unknown else spec
            for spec in signature.outputs
        ]
        return replace(signature, outputs=tuple(outputs))

    def _write(self) -> None:
        self._path.unlink()  # other names of the file keep what they have
        self._path.write_bytes(self._model.SerializeToString())

    def _write_labels(self) -> None:
        """The classes as labels, one a line, where the artifact brings none of its own."""
        folder = self._path.parent
        alone = len(self._zip_maps) == 1
        for each in self._zip_maps:
            name = label_path(each.output, alone=alone)
            lines = [" ".join(text.splitlines()) for text in each.classes]
            if name and lines and not any((folder / own).exists() for own in (name, LABELS)):
                (folder / name).write_text("".join(f"{line}\n" for line in lines), "utf-8")
                self.label_files.append(name)


def changed_graph(path: Path) -> ChangedGraph | None:
    """The graph in a file, changed; None where there is nothing to change, or no graph."""
    if OPERATOR.encode() not in path.read_bytes():
        return None
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return ChangedGraph(path, onnx.load(path, load_external_data=False))
    except DecodeError:
        return None


def _with_columns(spec: TensorSpec, zip_map: ZipMap) -> TensorSpec:
    shape = (-1, len(zip_map.classes))
    return replace(spec, shape=shape, dim_names=("", ""), unranked=False)


def _notice(zip_map: ZipMap) -> str:
    return (
        f"ZipMap was taken off: output {zip_map.output!r}, a sequence of maps, is now a tensor with a "
        f"column for each class ({_listed(zip_map.classes)}); their names are the output's labels"
    )


def _listed(classes: Sequence[str]) -> str:
    first = ", ".join(repr(each[:40]) for each in classes[:_MOST_CLASSES])
    more = len(classes) - _MOST_CLASSES
    return f"{first} and {more} more" if more > 0 else first
