"""Models that callers load with their own files: written to disk, read, and opened like all others."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol
from uuid import uuid4

from google.protobuf import json_format

from headrace.conversion import serving_config_from_proto
from headrace.datatypes import Datatype
from headrace.errors import InvalidArgument
from headrace.inference import model_config_pb2
from headrace.state.records import (
    ArtifactFile,
    ModelRecord,
    RouteRecord,
    ServingConfig,
    Signature,
    TensorSpec,
    VersionRecord,
)
from headrace.triton.carrying import carry_over
from headrace.triton.carrying_warm_up import FOLDER as WARM_UP_FOLDER
from headrace.triton.graph import GraphTensor, read_graph
from headrace.triton.versions import selected_versions, version_numbers
from headrace_inference.domain.model_control import LoadRequest, LocalModel
from headrace_inference.domain.runner import Runner

logger = logging.getLogger(__name__)

GRAPH = "model.onnx"

MAX_PATH_BYTES = 255
"""Of a file in a version: what any file system takes as one name, whatever the path is made of."""


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

    async def load(self, record: VersionRecord) -> Runner:
        """The open, warmed model. Raises HeadraceError."""
        folder = self._folders.get(record.digest)
        if folder is None:
            return await self._registered.load(record)
        return await self._registered.open_in(folder, record)

    async def prepare(self, request: LoadRequest) -> LocalModel:
        """The model that a request's files and config are. Raises InvalidArgument, NotFound."""
        config = _config(request)
        numbers = selected_versions(config, _numbers(request.files))
        versions = {number: _files_of(request, config, number) for number in numbers}
        folders = {number: self._folder / f"local-{uuid4().hex}" for number in numbers}
        try:
            records = [
                await asyncio.to_thread(_record, request.name, number, folder, config)
                async for number, folder in _written(folders, versions)
            ]
        except BaseException:
            await _remove(folders.values())
            raise
        self._folders |= {folder.name: folder for folder in folders.values()}
        return LocalModel(_model(request.name, numbers), tuple(records))

    async def remove(self, model: LocalModel) -> None:
        """Remove its files; what is open stays so."""
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


def _config(request: LoadRequest) -> model_config_pb2.ModelConfig:
    if request.config is None:
        raise InvalidArgument(
            "MODEL_FILES_INVALID", "files need the parameter 'config', a ModelConfig as JSON"
        )
    config = model_config_pb2.ModelConfig()
    try:
        json_format.Parse(request.config, config)
    except (json_format.ParseError, RecursionError) as error:
        raise InvalidArgument("MODEL_FILES_INVALID", f"Invalid config override: {error}") from None
    return config


def _numbers(files: Mapping[str, bytes]) -> list[int]:
    return version_numbers({path.partition("/")[0] for path in files if "/" in path})


def _files_of(
    request: LoadRequest, config: model_config_pb2.ModelConfig, number: int
) -> dict[str, bytes]:
    """The files of one version by their paths in it: its own, those of all, and labels by output."""
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
    labels = {
        f"{output.name}.labels.txt": common[output.label_filename]
        for output in config.output
        if output.label_filename in common
    }
    files = common | own | labels
    folders = {str(folder) for path in files for folder in PurePosixPath(path).parents}
    for path in files:
        parts = PurePosixPath(path).parts
        unsafe = not parts or parts[0] == "/" or ".." in parts or "\0" in path
        if unsafe or str(PurePosixPath(path)) in folders or len(path.encode()) > MAX_PATH_BYTES:
            raise InvalidArgument(
                "MODEL_FILES_INVALID", f"'file:{number}/{path}' is no path inside the version"
            )
    return files


async def _written(
    folders: Mapping[int, Path], versions: Mapping[int, Mapping[str, bytes]]
) -> AsyncIterator[tuple[int, Path]]:
    """Each version's folder, once its files are in it."""
    for number, folder in folders.items():
        await asyncio.to_thread(_write, folder, versions[number])
        yield number, folder


async def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _record(
    name: str, number: int, folder: Path, config: model_config_pb2.ModelConfig
) -> VersionRecord:
    graph_path = config.default_model_filename or GRAPH
    files = tuple(
        ArtifactFile(path.relative_to(folder).as_posix(), path.stat().st_size, "")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
    if graph_path not in {file.path for file in files}:
        raise InvalidArgument(
            "MODEL_FILES_INVALID",
            f"load failed for model '{name}': version {number} has no file '{graph_path}'",
        )
    signature = _signature(folder / graph_path)
    carried = carry_over(config)
    if carried.not_carried:
        facts = {"model": name, "fields": [part.field for part in carried.not_carried]}
        logger.warning("parts of a config cannot be carried over", extra=facts)
    serving = serving_config_from_proto(carried.serving_config, ServingConfig())
    _check_batching(serving, signature)
    digest = folder.name
    return VersionRecord(
        name, number, digest, files, graph_path, signature, serving, created_at=time.time()
    )


def _signature(path: Path) -> Signature:
    graph = read_graph(path)
    if graph is None:
        raise InvalidArgument("MODEL_FILES_INVALID", f"'{path.name}' is no ONNX graph")
    return Signature(
        tuple(_spec(name, tensor) for name, tensor in graph.inputs.items()),
        tuple(_spec(name, tensor) for name, tensor in graph.outputs.items()),
    )


def _spec(name: str, tensor: GraphTensor) -> TensorSpec:
    datatype = tensor.data_type.removeprefix("TYPE_").replace("STRING", "BYTES")
    if datatype not in Datatype.__members__ or tensor.shape is None:
        raise InvalidArgument(
            "MODEL_FILES_INVALID",
            f"'{name}' is no tensor of a datatype of the protocol with a known number of dimensions",
        )
    return TensorSpec(name, Datatype(datatype), tensor.shape)


def _check_batching(config: ServingConfig, signature: Signature) -> None:
    specs = (*signature.inputs, *signature.outputs)
    if config.batching.max_batch_size and any(spec.shape[:1] != (-1,) for spec in specs):
        raise InvalidArgument(
            "MODEL_FILES_INVALID",
            "max_batch_size is over 0, and the first dimension of some input or output is not free",
        )


def _model(name: str, numbers: list[int]) -> ModelRecord:
    """The newest version answers; all that were selected stay loaded."""
    return ModelRecord(
        name,
        created_at=time.time(),
        keep_latest=len(numbers),
        last_number=numbers[-1],
        route=RouteRecord(stable=numbers[-1]),
    )
