"""Copies the models of a folder to where they are opened: what somebody writes to theirs does no harm."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from headrace.inference import model_config_pb2
from headrace.language.folder_layout import find_language_graph, is_language_folder
from headrace.service.folder_lock import hold_folder
from headrace.state.records import ModelRecord, VersionRecord
from headrace.state.route_records import RouteRecord
from headrace.triton.repository import GRAPH
from headrace_inference.adapters.artifact_cache.file_checks import digests
from headrace_inference.adapters.local_models import FolderLoader, described
from headrace_inference.adapters.model_folder.layouts import FoundModel, unusable
from headrace_inference.domain.reconciliation.model_control import LocalModel
from headrace_inference.domain.scheduling.runner import Runner

FOLDER = "local-folder"
_LOCK = "lock"


class StagedModels:
    """The copies of versions, in a folder for each digest of model, number and files; and their loader."""

    def __init__(self, folder: Path, loader: FolderLoader) -> None:
        self._folder = folder
        self._loader = loader

    async def load(self, record: VersionRecord) -> Runner:
        """The open, warmed model. Raises HeadraceError."""
        return await self._loader.open_in(self._folder / record.digest, record)

    def stage(self, found: FoundModel) -> LocalModel:
        """Copy a model's versions here, and describe them; in a thread. Raises HeadraceError."""
        versions, config = found.read(), found.config()
        records = [
            self._staged(found.name, number, files, config) for number, files in versions.items()
        ]
        return LocalModel(_model(found.name, records), tuple(records))

    def remove_all_but(self, wanted: Iterable[VersionRecord]) -> None:
        """Remove the copies of all other versions; what is open of them stays so."""
        keep = {record.digest for record in wanted} | {_LOCK}
        for path in self._folder.iterdir():
            if path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)

    def _staged(
        self,
        name: str,
        number: int,
        files: Mapping[str, Path],
        config: model_config_pb2.ModelConfig,
    ) -> VersionRecord:
        beside = self._folder / f"new-{uuid4().hex}"
        try:
            _copy(files, beside)
            record = _described(name, number, beside, files, config)
            digest = _digest(beside, record)
            record = replace(record, digest=digest)
            if not (self._folder / digest).exists():
                beside.rename(self._folder / digest)
        except OSError as error:
            raise unusable(f"{name} cannot be copied to {self._folder}: {error}") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return record


def _described(
    name: str,
    number: int,
    folder: Path,
    files: Mapping[str, Path],
    config: model_config_pb2.ModelConfig,
) -> VersionRecord:
    """The record of a version. Raises HeadraceError."""
    if is_language_folder(files):
        from headrace_inference.adapters.model_folder.language_models import described_language

        graph = find_language_graph(folder, files)
        record = described_language(name, number, folder, files, graph)
        if record is not None:
            return record
        return described(name, number, folder, files, graph, config)
    return described(name, number, folder, files, GRAPH, config)


@asynccontextmanager
async def open_staged_models(data: Path, loader: FolderLoader) -> AsyncIterator[StagedModels]:
    """A place for copies in the data folder, empty at first and removed at the end.

    Raises FailedPrecondition (DATA_IN_USE) where another process has one there, or (DATA_UNUSABLE).
    """
    folder = data / FOLDER
    with hold_folder(folder, _LOCK, "serve-folder"):
        staged = StagedModels(folder, loader)
        await asyncio.to_thread(staged.remove_all_but, ())  # of a life that was killed
        try:
            yield staged
        finally:
            await asyncio.to_thread(staged.remove_all_but, ())


def _copy(files: Mapping[str, Path], target: Path) -> None:
    for name, source in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)


def _digest(folder: Path, record: VersionRecord) -> str:
    paths = [file.path for file in record.files]
    found = zip(digests([folder / path for path in paths]), paths, strict=True)
    lines = [f"{record.key}\n", *(f"{digest}  {path}\n" for digest, path in found)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _model(name: str, records: list[VersionRecord]) -> ModelRecord:
    """The newest version answers; all that the config selects stay loaded."""
    newest = records[-1].number
    return ModelRecord(
        name,
        created_at=time.time(),
        keep_latest=len(records),
        last_number=newest,
        route=RouteRecord(stable=newest),
    )
