"""Models that callers load with their own files: written to disk, read, and opened like all others."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol
from uuid import uuid4

from headrace.errors import InvalidArgument
from headrace.inference import model_config_pb2
from headrace.model_files.artifact_names import ArtifactPaths
from headrace.model_files.changed_graph import changed_graph
from headrace.model_files.external_data import external_files
from headrace.state.declared_shapes import with_declared_shapes
from headrace.state.records import (
    ArtifactFile,
    ModelRecord,
    ServingConfig,
    Signature,
    VersionRecord,
)
from headrace.state.route_records import RouteRecord
from headrace.triton.graph import GraphTensors, read_graph
from headrace.triton.to_serving_config_warm_up import FOLDER as WARM_UP_FOLDER
from headrace.triton.versions import selected_versions, version_numbers
from headrace_inference.adapters.local_config import (
    declared_signature,
    invalid,
    parse_config,
    serving_config,
)
from headrace_inference.domain.reconciliation.model_control import LoadRequest, LocalModel
from headrace_inference.domain.scheduling.runner import Runner

GRAPH = "model.onnx"

MAX_PATH_BYTES = 255
"""Of a file in a version: what any file system takes as one name, whatever the path is made of."""


Files = Mapping[str, bytes | Path]
"""A version's files by their paths in it: what they hold, or where that lies."""


class FolderLoader(Protocol):
    """Loads the registry's versions, and those whose files are in a folder."""

    async def load(self, record: VersionRecord) -> Runner:
        """The open, warmed model. Raises HeadraceError."""

    async def open_in(self, folder: Path, record: VersionRecord) -> Runner:
        """The version whose files are in a folder, open and warmed. Raises HeadraceError."""


class LocalModels:
    """The files of local models below a folder, and the loader that also knows those of the registry."""

    def __init__(self, folder: Path, registered: FolderLoader) -> None:
        self._folder = folder
        self._registered = registered
        self._folders: dict[str, Path] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        """The files that callers gave, of each folder; others were made of them."""

    async def load(self, record: VersionRecord) -> Runner:
        """The open, warmed model. Raises HeadraceError."""
        folder = self._folders.get(record.digest)
        if folder is None:
            return await self._registered.load(record)
        return await self._registered.open_in(folder, record)

    async def prepare(self, request: LoadRequest, former: LocalModel | None = None) -> LocalModel:
        """The model that a request's files and config are; without files, with those of the former.

        Raises InvalidArgument, NotFound.
        """
        config = parse_config(request)
        given = self._given(request, former, config)
        numbers = selected_versions(config, sorted(given))
        folders = {number: self._folder / f"local-{uuid4().hex}" for number in numbers}
        try:
            records = [
                await asyncio.to_thread(
                    _stored, request.name, number, folders[number], given[number], config
                )
                for number in numbers
            ]
        except BaseException:
            await _remove(folders.values())
            raise
        for number, folder in folders.items():
            self._folders[folder.name] = folder
            self._names[folder.name] = tuple(given[number])
        return LocalModel(_model(request.name, numbers), tuple(records))

    def _given(
        self,
        request: LoadRequest,
        former: LocalModel | None,
        config: model_config_pb2.ModelConfig,
    ) -> dict[int, Files]:
        """The files of each version: those that the request brings, or else those that are here.

        A config that was read from here names labels by the files that were made of those given.
        """
        if request.files or former is None:
            return {number: _files_of(request, number) for number in _numbers(request.files)}
        labels = {output.label_filename for output in config.output}
        return {
            record.number: {
                file.path: self._folders[record.digest] / file.path
                for file in record.files
                if file.path in self._names[record.digest] or file.path in labels
            }
            for record in former.versions
        }

    async def remove(self, model: LocalModel) -> None:
        """Remove its files; what is open stays so."""
        for record in model.versions:
            self._names.pop(record.digest)
        await _remove([self._folders.pop(record.digest) for record in model.versions])


@asynccontextmanager
async def open_local_models(data: Path, registered: FolderLoader) -> AsyncIterator[LocalModels]:
    """A place for local models that is removed at the end."""
    await asyncio.to_thread(data.mkdir, parents=True, exist_ok=True)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="local-", dir=data))
    try:
        yield LocalModels(folder, registered)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _numbers(files: Mapping[str, bytes]) -> list[int]:
    return version_numbers({path.partition("/")[0] for path in files if "/" in path})


def _files_of(request: LoadRequest, number: int) -> Files:
    """The files of one version by their paths in it: its own, and those of all."""
    common = {
        path: data
        for path, data in request.files.items()
        if "/" not in path or path.startswith(f"{WARM_UP_FOLDER}/")
    }
    prefix = f"{number}/"
    own = {
        path.removeprefix(prefix): data
        for path, data in request.files.items()
        if path.startswith(prefix)
    }
    files = common | own
    folders = {str(folder) for path in files for folder in PurePosixPath(path).parents}
    for path in files:
        parts = PurePosixPath(path).parts
        unsafe = not parts or parts[0] == "/" or ".." in parts or "\0" in path
        if unsafe or str(PurePosixPath(path)) in folders or len(path.encode()) > MAX_PATH_BYTES:
            raise invalid(f"'file:{number}/{path}' is not a path inside the version")
    return files


def _labels(files: Files, config: model_config_pb2.ModelConfig) -> Files:
    """The label files that the config names, where the outputs' labels are looked for."""
    labelled = [output for output in config.output if output.label_filename]
    missing = [output.label_filename for output in labelled if output.label_filename not in files]
    if missing:
        raise invalid(f"the config names label files that the load does not bring: {missing}")
    named = {f"{output.name}.labels.txt": files[output.label_filename] for output in labelled}
    return {name: data for name, data in named.items() if files.get(name) is not data}


async def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _write(folder: Path, files: Files) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, bytes):
            path.write_bytes(data)
        else:
            path.hardlink_to(data)


def _check_names(files: Iterable[str]) -> None:
    """Pass if each is one file inside, on every system: outputs name the files of their labels."""
    paths = ArtifactPaths()
    try:
        for name in files:
            paths.add(name)
    except InvalidArgument as error:
        raise invalid(error.message) from error


def _stored(
    name: str, number: int, folder: Path, given: Files, config: model_config_pb2.ModelConfig
) -> VersionRecord:
    """Write a version's files into its folder, and describe it."""
    files = {**given, **_labels(given, config)}
    _check_names(files)
    graph_path = config.default_model_filename or GRAPH
    if graph_path not in files:
        raise invalid(
            f"load failed for model '{name}': version {number} has no file '{graph_path}'"
        )
    _write(folder, files)
    return described(name, number, folder, files, graph_path, config)


def described(
    name: str,
    number: int,
    folder: Path,
    paths: Iterable[str],
    graph_path: str,
    config: model_config_pb2.ModelConfig,
) -> VersionRecord:
    """The record of a version whose files are in a folder, called by its name; its graph is changed there.

    Raises InvalidArgument.
    """
    files = set(paths)
    _check_external_data(folder / graph_path)
    changed = changed_graph(folder / graph_path)
    serving = serving_config(config)
    signature = declared_signature(config, _graph_of(folder / graph_path))
    if changed is not None:
        signature = changed.complete(signature)
        parent = PurePosixPath(graph_path).parent
        files |= {str(parent / label) for label in changed.label_files}
    batches = config.max_batch_size > 0
    signature = with_declared_shapes(signature, serving.shapes, batches=batches)
    sizes = [(path, (folder / path).stat().st_size) for path in sorted(files)]
    _check_batching(serving, signature)
    return VersionRecord(
        name,
        number,
        folder.name,
        tuple(ArtifactFile(path, size, "") for path, size in sizes),
        graph_path,
        signature,
        serving,
        created_at=time.time(),
    )


def _check_external_data(graph: Path) -> None:
    """Pass if a graph reads its own version's files alone: not every ONNX Runtime would see to that."""
    try:
        external_files(graph)
    except InvalidArgument as error:
        raise invalid(error.message.replace(str(graph), f"'{graph.name}'")) from error


def _graph_of(path: Path) -> GraphTensors:
    graph = read_graph(path)
    if graph is None:
        raise invalid(f"'{path.name}' is not an ONNX graph")
    return graph


def _check_batching(config: ServingConfig, signature: Signature) -> None:
    specs = (*signature.inputs, *signature.outputs)
    if config.batching.max_batch_size and any(spec.shape[:1] != (-1,) for spec in specs):
        raise invalid(
            "max_batch_size is over 0, and the first dimension of some input or output is not free"
        )


def _model(name: str, numbers: list[int]) -> ModelRecord:
    """The newest version answers; all that were selected stay loaded."""
    return ModelRecord(
        name,
        created_at=time.time(),
        keep_latest=len(numbers),
        last_number=numbers[-1],
        route=RouteRecord(stable=numbers[-1]),
        pinned=True,  # its caller unloads it
    )
