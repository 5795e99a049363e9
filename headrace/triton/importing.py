"""Moving a model of a Triton repository into a registry: its versions in order, then its route.

An import can be repeated: a version whose files and config are there already is not pushed again, and a
route moves only after something was pushed, so that what people changed since then stays.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from headrace import errors
from headrace.artifacts.signatures import SigningKey
from headrace.client import AsyncClient, Route, Version
from headrace.client.route_changes import with_changes
from headrace.conversion import serving_config_from_proto
from headrace.inference import model_config_pb2
from headrace.model_files.labels import label_path
from headrace.triton.graph import read_graph
from headrace.triton.hints import NOTHING
from headrace.triton.repository import (
    GRAPH,
    TritonModel,
    file_errors,
    read_model,
    unused_files,
    version_files,
)
from headrace.triton.tensors import tensor_differences
from headrace.triton.to_serving_config import Carried, carry_over
from headrace.triton.to_serving_config_shapes import with_missing_ranks
from headrace.triton.unsupported_fields import UnsupportedField
from headrace.type.v1 import serving_config_pb2

WAIT_SECONDS = 900.0
"""How long replicas may take to load what a route is to move to, unless the caller says otherwise."""

MAX_KEEP_LATEST = 100
"""What the registry's contract allows (model.proto)."""

Action = Literal["to push", "pushed", "unchanged", "failed"]


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason that a model or a version was not imported."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ImportedVersion:
    """The result for a Triton version; `number` is Headrace's, 0 where it has none."""

    triton_version: int
    action: Action
    number: int = 0
    digest: str = ""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """The result for a model; `stable` is what its route answers with, 0 where nothing was asked."""

    model: str
    versions: tuple[ImportedVersion, ...] = ()
    stable: int = 0
    not_carried: tuple[UnsupportedField, ...] = ()
    failure: Failure | None = None

    @property
    def failed(self) -> bool:
        """Return whether anything of it was not imported."""
        return self.failure is not None or any(version.failure for version in self.versions)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A version that can be pushed."""

    triton_version: int
    files: Mapping[str, Path]
    digest: str
    serving_config: serving_config_pb2.ServingConfig
    notes: tuple[UnsupportedField, ...] = ()


@dataclass(slots=True)
class _Target:
    """The model in the registry: what it has, and what this import did."""

    client: AsyncClient
    name: str
    timeout_seconds: float | None
    allow_signature_change: bool
    signing_key: SigningKey | None = None
    versions: list[Version] = field(default_factory=list)


async def import_model(
    client: AsyncClient | None,
    folder: Path,
    timeout_seconds: float | None = None,
    *,
    allow_signature_change: bool = False,
    signing_key: SigningKey | None = None,
) -> ImportedModel:
    """Import the model in a folder; without a client, only say what would be done. A key signs versions.

    What is wrong with the model or a version is in the result. Raises Unavailable and DeadlineExceeded:
    those say nothing about the model, and the import can be repeated.
    """
    try:
        model = await asyncio.to_thread(read_model, folder)
    except errors.HeadraceError as error:
        return ImportedModel(folder.name, failure=_failure(error))
    carried = carry_over(_without_what_is_followed(model.config))
    found = [
        await asyncio.to_thread(_candidate, model, number, carried) for number in model.versions
    ]
    notes = [note for each in found if isinstance(each, _Candidate) for note in each.notes]
    not_carried = tuple(dict.fromkeys((*carried.not_carried, *_too_many(model), *notes)))
    if client is None:
        planned = tuple(_planned(each) for each in found)
        return ImportedModel(model.name, planned, not_carried=not_carried)
    target = _Target(client, model.name, timeout_seconds, allow_signature_change, signing_key)
    return await _import(target, model, found, not_carried)


async def _import(
    target: _Target,
    model: TritonModel,
    found: list[_Candidate | ImportedVersion],
    not_carried: tuple[UnsupportedField, ...],
) -> ImportedModel:
    try:
        target.versions = await _present_versions(target)
    except errors.HeadraceError as error:
        return ImportedModel(model.name, not_carried=not_carried, failure=_failure(error))
    is_new = not target.versions
    versions = tuple([await _import_version(target, each) for each in found])
    if not any(version.number for version in versions):
        return ImportedModel(model.name, versions, 0, not_carried)
    await _keep_loaded(target, min(len(model.versions), MAX_KEEP_LATEST))
    stable, failure = await _settle_route(target, versions, is_new=is_new)
    return ImportedModel(model.name, versions, stable, not_carried, failure)


async def _present_versions(target: _Target) -> list[Version]:
    try:
        return await target.client.versions(target.name, timeout_seconds=target.timeout_seconds)
    except errors.NotFound:
        return []


async def _keep_loaded(target: _Target, count: int) -> None:
    """Let replicas keep as many of the newest versions loaded as Triton did, never fewer than now."""
    client, seconds = target.client, target.timeout_seconds
    model = await client.model(target.name, timeout_seconds=seconds)
    if model.keep_latest < count:
        await client.update_model(
            target.name, keep_latest=count, etag=model.etag, timeout_seconds=seconds
        )


async def _import_version(target: _Target, found: _Candidate | ImportedVersion) -> ImportedVersion:
    if isinstance(found, ImportedVersion):
        return found
    for version in target.versions:
        if version.digest == found.digest and _is_served_so(version, found.serving_config):
            return ImportedVersion(
                found.triton_version, "unchanged", version.number, version.digest
            )
    try:
        version = await target.client.push(
            target.name,
            found.files,
            config=found.serving_config,
            description=f"version {found.triton_version} of a Triton model repository",
            signing_key=target.signing_key,
            timeout_seconds=target.timeout_seconds,
        )
    except errors.HeadraceError as error:
        return ImportedVersion(found.triton_version, "failed", failure=_failure(error))
    target.versions.append(version)
    return ImportedVersion(found.triton_version, "pushed", version.number, version.digest)


def _is_served_so(version: Version, config: serving_config_pb2.ServingConfig) -> bool:
    try:
        return serving_config_from_proto(config, version.config) == version.config
    except (
        errors.InvalidArgument
    ):  # the two together make no sense, such as sizes over the new maximum
        return False


async def _settle_route(
    target: _Target, versions: tuple[ImportedVersion, ...], *, is_new: bool
) -> tuple[int, Failure | None]:
    """Let the route answer with the highest version, as Triton does, if any was pushed now.

    Its stable version, and why that is not the highest.
    """
    highest = [version.number for version in versions if version.number][-1]
    route = await target.client.route(target.name, timeout_seconds=target.timeout_seconds)
    pushed = any(version.action == "pushed" for version in versions)
    if not pushed or route.stable == highest:
        return route.stable, None
    try:
        moved = await _move_route(target, with_changes(route, stable=highest), is_new=is_new)
    except errors.FailedPrecondition as error:
        return route.stable, _failure(error)
    return moved.stable, None


async def _move_route(target: _Target, route: Route, *, is_new: bool) -> Route:
    """The route as moved. A model that is new has no callers yet who would be led astray."""
    client, seconds = target.client, target.timeout_seconds
    if not is_new and await client.replicas(timeout_seconds=seconds):
        with suppress(errors.FailedPrecondition):  # some replica gave up; the registry judges
            await client.wait_until_ready(
                target.name, route.stable, timeout_seconds=seconds or WAIT_SECONDS
            )
    return await client.put_route(
        route,
        allow_signature_change=is_new or target.allow_signature_change,
        allow_unready=is_new,
        timeout_seconds=seconds,
    )


def _without_what_is_followed(
    config: model_config_pb2.ModelConfig,
) -> model_config_pb2.ModelConfig:
    """The config without version policy and label files, which the import follows by itself."""
    rest = model_config_pb2.ModelConfig()
    rest.CopyFrom(config)
    rest.ClearField("version_policy")
    for output in rest.output:
        if label_path(output.name, alone=len(rest.output) == 1) is not None:
            output.ClearField("label_filename")
    return rest


def _candidate(model: TritonModel, number: int, carried: Carried) -> _Candidate | ImportedVersion:
    """A version as it would be pushed, or why it cannot be."""
    try:
        with file_errors(model.folder):
            return _read_candidate(model, number, carried)
    except errors.HeadraceError as error:
        return ImportedVersion(number, "failed", failure=_failure(error))


def _read_candidate(model: TritonModel, number: int, carried: Carried) -> _Candidate:
    files = version_files(model, number)
    config = carried.serving_config
    differences: Iterable[UnsupportedField] = ()
    graph = read_graph(files[GRAPH])
    if graph is not None:  # else the registry refuses it
        config = with_missing_ranks(config, model.config, graph)
        differences = tensor_differences(model.config, graph)
    notes = (*differences, *unused_files(model, number, files))
    return _Candidate(number, files, artifact_digest(files), config, notes)


def _planned(found: _Candidate | ImportedVersion) -> ImportedVersion:
    if isinstance(found, ImportedVersion):
        return found
    return ImportedVersion(found.triton_version, "to push", digest=found.digest)


def artifact_digest(files: Mapping[str, Path]) -> str:
    """The digest that the registry gives a version of these files: over theirs, by path."""
    lines = (f"{_sha256(path)}  {name}\n" for name, path in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _too_many(model: TritonModel) -> Iterable[UnsupportedField]:
    if len(model.versions) > MAX_KEEP_LATEST:
        yield UnsupportedField(
            "version_policy",
            f"{len(model.versions)} versions",
            f"up to {MAX_KEEP_LATEST} versions stay loaded; all are pushed",
            f"point aliases at others that must be callable; else {NOTHING}",
        )


def _failure(error: errors.HeadraceError) -> Failure:
    if isinstance(error, errors.Unavailable | errors.DeadlineExceeded):
        raise error
    return Failure(error.reason, error.message)
