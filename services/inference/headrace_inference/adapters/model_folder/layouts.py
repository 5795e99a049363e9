"""Finds the models in a folder: a Triton repository, one model of it, or plain folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from headrace.errors import FailedPrecondition, InvalidArgument
from headrace.inference import model_config_pb2
from headrace.language.folder_layout import is_language_folder, needed_files
from headrace.model_files.external_data import external_files
from headrace.model_files.labels import LABELS
from headrace.model_files.platform_metadata import is_platform_metadata
from headrace.resource_names import check_model_name, nearest_model_name
from headrace.triton.backends import check_backend
from headrace.triton.pbtxt import read_config
from headrace.triton.repository import (
    CONFIG,
    GRAPH,
    TritonModel,
    file_errors,
    label_files,
    sample_files,
    version_files,
)
from headrace.triton.versions import selected_versions, version_numbers

_MOST_DEPTH = 8
"""Folders below a model's that are looked into, should links lead in a circle."""
_MOST_NAMED = 12
"""Names of a folder's content in a message."""
_SUFFIX = ".onnx"
_OF_THE_FILE_SYSTEM = "lost+found"
"""At the top of a volume; root alone may read it."""

Mark = tuple[tuple[str, int, int, int], ...]
"""The files of a model: each one's path, size, time of its last change, and inode."""


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model in a folder: versions in folders of their numbers, or one graph that is version 1."""

    name: str
    folder: Path
    has_versions: bool
    mark: Mark
    is_language: bool = False
    """Whether it is a language model's folder, as exporters write it; its graph has the last word."""

    def read(self) -> Mapping[int, Mapping[str, Path]]:
        """The files of its versions. Raises InvalidArgument, NotFound for what cannot be served."""
        with file_errors(self.folder):
            config = self.config()
            if self.is_language:
                return {1: needed_files(_visible_files(self.folder))}
            if not self.has_versions:
                return {1: self._plain_files(config)}
            numbers = version_numbers(each.name for each in self.folder.iterdir() if each.is_dir())
            selected = tuple(selected_versions(config, numbers))
            model = TritonModel(self.name, self.folder, config, selected)
            return {number: version_files(model, number) for number in selected}

    def config(self) -> model_config_pb2.ModelConfig:
        """Its config.pbtxt, or an empty one. Raises InvalidArgument."""
        path = self.folder / CONFIG
        config = read_config(path) if path.exists() else model_config_pb2.ModelConfig()
        check_backend(self.name, config)
        return config

    def _plain_files(self, config: model_config_pb2.ModelConfig) -> dict[str, Path]:
        graph = next(iter(_graphs(self.folder)))
        model = TritonModel(self.name, self.folder, config, (1,))
        labels = {path.name: path for path in self.folder.glob(f"*{LABELS}")}
        files = labels | label_files(model) | sample_files(model)
        return {GRAPH: graph, **external_files(graph), **files}

    @property
    def size_bytes(self) -> int:
        """The bytes of all files that lie there, wanted or not."""
        return sum(size for _, size, _, _ in self.mark)

    def mark_now(self) -> Mark:
        """Return what its files are by now."""
        return _mark(self.folder)


def find_models(folder: Path, name: str = "") -> list[FoundModel]:
    """The models in a folder, in order; `name` is what to call the one.

    Raises FailedPrecondition (MODEL_FOLDER_UNUSABLE) that says what is there instead.
    """
    try:
        found = list(_found(folder, name))
    except OSError as error:
        where = error.filename or folder
        raise unusable(f"{where} cannot be read: {error.strerror}") from error
    if not found:
        raise unusable(f"{folder} has no model: {_content(folder)}. {_ALLOWED}")
    if name and len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise unusable(f"--model-name is for one model, and {folder} has {len(found)}: {names}")
    return [_named(each, name) for each in found]


def _named(model: FoundModel, name: str) -> FoundModel:
    try:
        return replace(model, name=check_model_name(name or model.name))
    except InvalidArgument as error:
        raise unusable(f"{model.folder}: {error.message}; or give --model-name") from error


_ALLOWED = (
    "A model is a folder with model.onnx (or one other .onnx file), with versions (1/model.onnx), or with "
    "a language model and its tokenizer.json; give such a folder, or one that has such folders"
)


def _found(folder: Path, name: str) -> Iterator[FoundModel]:
    """The folder as one model, or those below it."""
    one = _model_in(folder)
    if one is not None:
        own = name or _name_in_config(one) or nearest_model_name(folder.resolve().name) or "model"
        yield replace(one, name=own)
        return
    for path in sorted(folder.iterdir()):
        if _is_visible(path) and path.is_dir() and (model := _model_in(path)) is not None:
            yield model


def _visible_files(folder: Path) -> dict[str, Path]:
    """All files that are not hidden, by their paths in the folder."""
    return {path: folder / path for path, *_ in _stats(folder, _MOST_DEPTH)}


def _is_language(folder: Path) -> bool:
    """Return whether it is a language model's, with which no config.pbtxt lies that says otherwise."""
    names = [path.name for path in folder.iterdir()]
    return is_language_folder(names) and CONFIG not in names


def _model_in(folder: Path) -> FoundModel | None:
    if _is_language(folder):
        return FoundModel(folder.name, folder, False, _mark(folder), is_language=True)
    graphs = _graphs(folder)
    if len(graphs) > 1:
        names = ", ".join(path.name for path in graphs[:_MOST_NAMED])
        raise unusable(
            f"{folder} has {len(graphs)} graphs ({names}): give each a folder of its own, or call the one "
            "that is the model model.onnx"
        )
    if not graphs and not _has_versions(folder):
        return None
    return FoundModel(folder.name, folder, not graphs, _mark(folder))


def _graphs(folder: Path) -> Sequence[Path]:
    """The graph that is the model, or all that may be."""
    if (folder / GRAPH).is_file():
        return [folder / GRAPH]
    entries = sorted(folder.iterdir())
    return [each for each in entries if each.suffix == _SUFFIX and _is_visible(each)]


def _has_versions(folder: Path) -> bool:
    numbered = version_numbers(each.name for each in folder.iterdir() if each.is_dir())
    if not numbered:
        return False
    graphs = (any((folder / str(number)).glob(f"*{_SUFFIX}")) for number in numbered)
    return (folder / CONFIG).exists() or any(graphs)


def _name_in_config(model: FoundModel) -> str:
    """Return what its config calls a model whose own folder has another name, such as /mnt/models."""
    try:
        return model.config().name
    except InvalidArgument:  # told when its config is read to be used
        return ""


def _mark(folder: Path) -> Mark:
    return tuple(sorted(_stats(folder, _MOST_DEPTH)))


def _stats(folder: Path, depth: int, below: str = "") -> Iterator[tuple[str, int, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not _is_visible(folder / entry.name):
                continue
            path = PurePosixPath(below, entry.name)
            if entry.is_dir():
                if depth:
                    yield from _stats(folder / entry.name, depth - 1, str(path))
                continue
            found = entry.stat()
            yield str(path), found.st_size, found.st_mtime_ns, found.st_ino


def _is_visible(path: Path) -> bool:
    hidden = path.name.startswith(".") or path.name == _OF_THE_FILE_SYSTEM
    return not hidden and not is_platform_metadata(PurePosixPath(path.name))


def _content(folder: Path) -> str:
    entries = [path for path in sorted(folder.iterdir()) if _is_visible(path)]
    if not entries:
        return "it is empty"
    named = [f"{path.name}/" if path.is_dir() else path.name for path in entries[:_MOST_NAMED]]
    more = f" and {len(entries) - _MOST_NAMED} more" if len(entries) > _MOST_NAMED else ""
    return f"it has {', '.join(named)}{more}"


def unusable(what: str) -> FailedPrecondition:
    """Make the error of a folder from which nothing can be served."""
    return FailedPrecondition("MODEL_FOLDER_UNUSABLE", what)
