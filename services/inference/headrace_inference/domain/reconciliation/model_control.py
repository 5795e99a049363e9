"""Lets the registry alone say which versions this replica holds, or its callers beside it.

Under `explicit` control a caller may load models that no registry knows, on this replica only, and keep a
registered model off it. A model is its registry's or a caller's, never both.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from headrace.errors import (
    FailedPrecondition,
    HeadraceError,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from headrace.state.catalog import UNREAD, Catalog
from headrace.state.records import ModelRecord, VersionRecord
from headrace_inference.domain.reconciliation.lasting_jobs import in_own_thread
from headrace_inference.domain.reconciliation.reconciler import Loader, VersionReconciler
from headrace_inference.domain.routing.table import state_unread
from headrace_inference.domain.scheduling.runner import Runner

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """A model to load: Triton's config as JSON, and files by `version/name` or `name` for all versions."""

    name: str
    config: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that only this replica knows."""

    model: ModelRecord
    versions: tuple[VersionRecord, ...]


class LocalStore(Protocol):
    """Keeps the files of local models where a loader finds them."""

    async def prepare(self, request: LoadRequest, former: LocalModel | None = None) -> LocalModel:
        """The model that a request's files and config are; without files, with those of the former.

        Raises HeadraceError.
        """

    async def remove(self, model: LocalModel) -> None:
        """Remove its files."""


class ModelControl(Protocol):
    """Loads and unloads models for callers."""

    async def load(self, request: LoadRequest) -> None:
        """Load a model, and return once it is ready. Raises HeadraceError."""

    async def unload(self, name: str) -> None:
        """Unload a model. Raises HeadraceError."""


class RegistryControl:
    """The registry alone says what is loaded."""

    async def load(self, request: LoadRequest) -> None:
        """Refused. Raises Unavailable (MODEL_CONTROL_REGISTRY)."""
        raise _refused(request.name)

    async def unload(self, name: str) -> None:
        """Refused. Raises Unavailable (MODEL_CONTROL_REGISTRY)."""
        raise _refused(name)


class FolderControl:
    """A folder alone says what is loaded."""

    async def load(self, request: LoadRequest) -> None:
        """Refused. Raises Unavailable (MODEL_CONTROL_REGISTRY)."""
        raise _not_in_folder(request.name)

    async def unload(self, name: str) -> None:
        """Refused. Raises Unavailable (MODEL_CONTROL_REGISTRY)."""
        raise _not_in_folder(name)


class ExplicitControl:
    """The registry's versions, with those that callers loaded, and without those that they unloaded."""

    def __init__(self, reconciler: VersionReconciler, loader: Loader, store: LocalStore) -> None:
        self._reconciler = reconciler
        self._loader = loader
        self._store = store
        self._registered = UNREAD
        self._local: dict[str, LocalModel] = {}
        self._unloaded: set[str] = set()
        self._one_at_a_time = asyncio.Lock()

    def want(self, catalog: Catalog) -> None:
        """From now on this is what the registry says."""
        self._registered = catalog
        self._reconciler.want(self._overlaid())

    async def load(self, request: LoadRequest) -> None:
        """Load a model, and return once it is ready; a load that fails leaves what was there."""
        if _NAME.fullmatch(request.name) is None:
            raise InvalidArgument("MODEL_NAME_INVALID", f"invalid model name '{request.name}'")
        async with self._one_at_a_time:
            self._check_known()
            if request.name in self._registered.models and request.name not in self._local:
                await self._load_registered(request)
            elif request.files or (request.config is not None and request.name in self._local):
                await self._load_local(request)
            elif (
                request.name not in self._local
            ):  # one that is loaded, and asked for as it is, stays
                raise NotFound(
                    "MODEL_NOT_FOUND",
                    f"failed to load '{request.name}', failed to poll from model repository: the "
                    "registry has no such model, and the request brings no file:VERSION/NAME",
                )

    async def unload(self, name: str) -> None:
        """Unload a model; one that is not loaded is left so."""
        async with self._one_at_a_time:
            self._check_known()
            local = self._local.pop(name, None)
            if local is None and name in self._registered.models:
                self._unloaded.add(name)
            self._reconciler.want(self._overlaid())
            if local is not None:
                await self._store.remove(local)

    def _check_known(self) -> None:
        """Raise Unavailable before it is known which models are the registry's."""
        if not self._registered.known:
            raise state_unread(self._registered)

    async def _load_registered(self, request: LoadRequest) -> None:
        if request.files or request.config is not None:
            raise FailedPrecondition(
                "MODEL_REGISTERED",
                f"'{request.name}' is the registry's: push a version with this config or these files "
                "(`headrace push`), or load them under another name",
            )
        self._unloaded.discard(request.name)
        self._reconciler.want(self._overlaid())
        wrong = await self._reconciler.wait_until_settled(request.name)
        if wrong:
            raise _load_failed(request.name, wrong)

    async def _load_local(self, request: LoadRequest) -> None:
        former = self._local.get(request.name)
        prepared = await self._store.prepare(request, former)
        try:
            opened = await self._open(prepared)
        except HeadraceError as error:
            await self._store.remove(prepared)
            raise _load_failed(request.name, error.message) from error
        except BaseException:
            await self._store.remove(prepared)
            raise
        self._local[request.name] = prepared
        self._reconciler.replace_loaded(self._overlaid(), opened)
        if former is not None:
            await self._store.remove(former)

    async def _open(self, prepared: LocalModel) -> list[tuple[VersionRecord, Runner]]:
        """All versions, or none."""
        opened: list[tuple[VersionRecord, Runner]] = []
        try:
            for record in prepared.versions:
                opened.append((record, await self._loader.load(record)))  # noqa: PERF401
        except BaseException:
            for _, runner in opened:
                await in_own_thread("close", runner.close)
            raise
        return opened

    def _overlaid(self) -> Catalog:
        return overlay(self._registered, self._local, self._unloaded)


def overlay(
    registered: Catalog, local: Mapping[str, LocalModel], unloaded: Collection[str]
) -> Catalog:
    """The registry's catalog with local models in it; nothing of an unloaded one is wanted."""
    models = {
        name: replace(model, route=None, aliases={}, keep_latest=0) if name in unloaded else model
        for name, model in registered.models.items()
    }
    versions = {key: record for key, record in registered.versions.items() if key[0] not in local}
    for name, added in local.items():
        models[name] = added.model
        versions |= {(name, record.number): record for record in added.versions}
    return replace(registered, models=models, versions=versions)


def _refused(name: str) -> HeadraceError:
    return Unavailable(
        "MODEL_CONTROL_REGISTRY",
        f"explicit model load / unload is not allowed ('{name}'): versions are loaded and unloaded by "
        "what the registry says: `headrace push`, `headrace route`, `headrace delete`; or start the "
        "replica with --model-control=explicit",
        facts={"setting": "model_control"},
    )


def _not_in_folder(name: str) -> HeadraceError:
    return Unavailable(
        "MODEL_CONTROL_REGISTRY",
        f"explicit model load / unload is not allowed ('{name}'): this server serves a folder "
        "(model_folder). Change what lies there, and have it look for changes (model_poll_seconds)",
        facts={"setting": "model_folder"},
    )


def _load_failed(name: str, wrong: str) -> HeadraceError:
    return InvalidArgument("LOAD_FAILED", f"load failed for model '{name}': {wrong}")
