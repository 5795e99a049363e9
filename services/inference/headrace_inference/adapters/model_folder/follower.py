"""Has a replica serve what lies in a folder: all of it at the start, then what changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headrace.errors import HeadraceError
from headrace.state.catalog import Catalog
from headrace.state.records import LoadState, ReplicaVersion, VersionRecord
from headrace_inference.adapters.model_folder.layouts import (
    FoundModel,
    Mark,
    find_models,
    unusable,
)
from headrace_inference.domain.reconciliation.lasting_jobs import in_own_thread
from headrace_inference.domain.reconciliation.model_control import LocalModel
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.versions.identity import identity, is_other

logger = logging.getLogger(__name__)


class Staging(Protocol):
    """Copies models to where they are opened, and opens them."""

    def stage(self, found: FoundModel) -> LocalModel:
        """Copy a model's versions, and describe them; blocks. Raises HeadraceError."""

    def remove_all_but(self, wanted: Iterable[VersionRecord]) -> None:
        """Remove the copies of all other versions."""

    async def load(self, record: VersionRecord) -> Runner:
        """The open, warmed model. Raises HeadraceError."""


class Versions(Protocol):
    """The versions of the replica."""

    def want(self, catalog: Catalog) -> None:
        """From now on, hold what this catalog says."""

    def replace_loaded(
        self, catalog: Catalog, opened: Iterable[tuple[VersionRecord, Runner]]
    ) -> None:
        """Hold what this catalog says; these of its versions are open already."""

    def versions(self) -> Sequence[ReplicaVersion]:
        """Every version that is here, on its way, or failed, with the reason."""


@dataclass(frozen=True, slots=True)
class FollowedFolder:
    """The folder, the name of its one model ('': its own), and the seconds from look to look (0: one)."""

    path: Path
    model_name: str = ""
    poll_seconds: float = 0.0


class FolderFollower:
    """The catalog of what lies in a folder, which `run` has the replica serve."""

    def __init__(self, folder: FollowedFolder, staging: Staging, versions: Versions) -> None:
        self._folder = folder
        self._staging = staging
        self._versions = versions
        self._models: dict[str, LocalModel] = {}
        self._taken: dict[str, Mark] = {}
        """What was looked at and taken, or refused, by the model's name."""
        self._seen: dict[str, Mark] = {}
        """The files as they were when it was last looked."""
        self._problem = ""
        self.catalog = Catalog(known=False)

    @property
    def synced(self) -> bool:
        """Return whether the folder was read, and all that lies there could be loaded."""
        return self.catalog.known and not self._failed()

    def facts(self) -> dict[str, object]:
        """Return the facts of readiness about the folder."""
        facts: dict[str, object] = {"model_folder": str(self._folder.path)}
        failed = {f"{each.model}/{each.number}": each.reason for each in self._failed()}
        facts |= {"failed": failed} if failed else {}
        return facts | ({"folder_problem": self._problem} if self._problem else {})

    def _failed(self) -> list[ReplicaVersion]:
        return [each for each in self._versions.versions() if each.state is LoadState.UNAVAILABLE]

    async def begin(self) -> None:
        """Have all that is there served. Raises HeadraceError, with all that is wrong with it."""
        why = f"it reads and copies the models of {self._folder.path} first"
        self._versions.want(Catalog(known=False, unread_because=why))
        found = await self._find()
        wrong: list[str] = []
        for model in found:
            try:
                logger.info(
                    "copying a model", extra={"model": model.name, "bytes": model.size_bytes}
                )
                self._models[model.name] = await asyncio.to_thread(self._staging.stage, model)
                self._taken[model.name] = self._seen[model.name] = model.mark
            except HeadraceError as error:
                wrong.append(f"{model.name}: {error.message} [{error.reason}]")
        if wrong:
            raise unusable("\n".join([f"not all models of {self._folder.path} are any", *wrong]))
        self.catalog = self._changed_catalog()
        self._versions.want(self.catalog)
        names = [f"{each.name} ({each.folder})" for each in found]
        logger.info("serving the models of a folder", extra={"models": names})

    async def follow(self) -> None:
        """Look again and again, where that is wanted. What is wrong is told once, and changes nothing."""
        while self._folder.poll_seconds:
            await asyncio.sleep(self._folder.poll_seconds)
            await self.look()

    async def look(self) -> None:
        """Take what changed since it was last looked, and did not change meanwhile."""
        try:
            found = await self._find()
        except HeadraceError as error:
            self._tell(f"what was served stays, since {error.message}")
            return
        self._tell("")
        before, self._seen = self._seen, {model.name: model.mark for model in found}
        for model in found:
            if before.get(model.name) == model.mark != self._taken.get(model.name):
                await self._take(model)
        if gone := vanished(self._models, before, self._seen):
            self._forget(gone)
        await asyncio.to_thread(self._staging.remove_all_but, self._records())

    async def _find(self) -> list[FoundModel]:
        return await asyncio.to_thread(find_models, self._folder.path, self._folder.model_name)

    def _tell(self, problem: str) -> None:
        if problem and problem != self._problem:
            logger.error(problem)
        self._problem = problem

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            del self._models[name]
            self._taken.pop(name, None)
            logger.info("a model is not in the folder any more", extra={"model": name})
        self.catalog = self._changed_catalog()
        self._versions.want(self.catalog)

    async def _take(self, model: FoundModel) -> None:
        """Serve what a model is by now: what cannot be opened changes nothing."""
        try:
            staged = await asyncio.to_thread(self._staging.stage, model)
            if await asyncio.to_thread(_is_moving, model):
                return  # looked at again
            opened = await self._opened(staged)
        except HeadraceError as error:
            logger.error(  # noqa: TRY400 - an expected error, told in one line
                "a changed model is not taken, and what was served stays: %s",
                error.message,
                extra={"model": model.name, "reason": error.reason},
            )
            self._taken[model.name] = model.mark
            return
        self._taken[model.name] = model.mark
        if opened or not self._is_same(staged):
            self._serve(model.name, staged, opened)

    def _is_same(self, staged: LocalModel) -> bool:
        """Return whether only the times of a model's files are others."""
        former = self._models.get(staged.model.name)
        return former is not None and list(map(identity, former.versions)) == list(
            map(identity, staged.versions)
        )

    def _serve(
        self, name: str, staged: LocalModel, opened: Iterable[tuple[VersionRecord, Runner]]
    ) -> None:
        self._models[name] = staged
        self.catalog = self._changed_catalog()
        self._versions.replace_loaded(self.catalog, opened)
        logger.info("a model of the folder was taken", extra={"model": name})

    async def _opened(self, staged: LocalModel) -> list[tuple[VersionRecord, Runner]]:
        """Those versions, open, that stand in the place of others that answer: all of them, or none."""
        ready = {
            (each.model, each.number)
            for each in self._versions.versions()
            if each.state is LoadState.READY
        }
        opened: list[tuple[VersionRecord, Runner]] = []
        try:
            for record in staged.versions:
                key = (record.model, record.number)
                if key in ready and is_other(record, key, self.catalog):
                    opened.append((record, await self._staging.load(record)))
        except BaseException:
            for _, runner in opened:
                await in_own_thread("close", runner.close)
            raise
        return opened

    def _records(self) -> list[VersionRecord]:
        return [record for model in self._models.values() for record in model.versions]

    def _changed_catalog(self) -> Catalog:
        """The catalog of what was taken, one revision on."""
        return Catalog(
            self.catalog.revision + 1,
            {name: each.model for name, each in self._models.items()},
            {(each.model, each.number): each for each in self._records()},
        ).sharing(self.catalog)


def vanished(held: Collection[str], before: Collection[str], now: Collection[str]) -> set[str]:
    """The models that are held and were in neither of two looks.

    Whoever replaces a folder by another renames both: between, there is none.
    """
    return set(held) - set(before) - set(now)


def _is_moving(model: FoundModel) -> bool:
    """Return whether somebody wrote to a model's files since they were found."""
    mark: Mark = ()
    with suppress(OSError):
        mark = model.mark_now()
    return mark != model.mark
