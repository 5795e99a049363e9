"""The files of a version on this machine, by their digest: pulled once, compared each time."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import DataLoss, InvalidArgument
from headrace.lifecycle.predictors import SessionPredictor
from headrace.lifecycle.predictors.served import rows_in_a_request
from headrace.lifecycle.tables.digests import file_digest

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version


def default_cache() -> Path:
    """Where versions are kept: $XDG_CACHE_HOME/headrace/versions, else under ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "headrace" / "versions"


async def session_of(
    client: AsyncClient,
    version: Version,
    outputs: Sequence[str] = (),
    *,
    cache: Path | None = None,
    threads: int = 0,
) -> SessionPredictor:
    """A session of a version's graph in this process. Raises HeadraceError."""
    if version.language is not None:
        raise InvalidArgument(
            "BATCH_INVALID",
            f"version {version.number} of {version.model} is a language model: replicas alone answer it",
        )
    folder = await cached_version(client, version, cache or default_cache())
    return await asyncio.to_thread(
        SessionPredictor,
        folder / version.graph_path,
        rows_per_run=rows_in_a_request(version),
        outputs=outputs,
        threads=threads,
    )


async def cached_version(client: AsyncClient, version: Version, cache: Path) -> Path:
    """The folder of a version's files, pulled where it is not there yet. Raises DataLoss (BLOB_DAMAGED)."""
    folder = cache / version.digest
    await asyncio.to_thread(cache.mkdir, parents=True, exist_ok=True)
    with (cache / f"{version.digest}.lock").open("ab") as lock:
        await asyncio.to_thread(fcntl.flock, lock.fileno(), fcntl.LOCK_EX)
        if not await asyncio.to_thread(folder.exists):
            beside = folder.with_name(f"{folder.name}.tmp")
            shutil.rmtree(beside, ignore_errors=True)
            pulled = await client.pull(version.model, version.number, beside)
            if pulled.digest != version.digest:
                raise _another(version)
            beside.rename(folder)
        await asyncio.to_thread(_check, version, folder)
    return folder


def _check(version: Version, folder: Path) -> None:
    for file in version.files:
        if file_digest(folder / file.path) != file.sha256:
            shutil.rmtree(folder, ignore_errors=True)
            raise DataLoss(
                "BLOB_DAMAGED",
                f"{folder / file.path} is not what was pushed; it was removed: the next run pulls it again",
                facts={"sha256": file.sha256},
            )


def _another(version: Version) -> DataLoss:
    return DataLoss(
        "BLOB_DAMAGED",
        f"version {version.number} of {version.model} has other files than its digest says",
    )
