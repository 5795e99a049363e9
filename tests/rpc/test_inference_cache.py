"""The cache of artifacts, filled by a real registry, shared by loads and by replicas, and damaged."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from headrace import AsyncClient
from headrace.errors import Unavailable
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace.state.records import LoadState, VersionRecord
from headrace.state.snapshot import read_snapshot
from headrace.tls.peers import PlainPeer
from headrace_inference.adapters.artifact_cache.file_checks import FileChecks
from headrace_inference.adapters.artifact_cache.leases import CacheLeases, open_cache_leases
from headrace_inference.adapters.artifact_cache.partial_files import claim
from headrace_inference.adapters.artifact_cache.sources import RegistrySource
from headrace_inference.adapters.artifact_cache.store import ArtifactCache
from headrace_inference.adapters.runtime.prepared_graph import GRAPH
from headrace_inference.app import Replica
from headrace_registry.app import open_registry
from tests.rpc.registry_fixtures import onnx_file
from tests.rpc.registry_fixtures import settings as registry_settings
from tests.rpc.replica_fixtures import running_replica

ROW = np.zeros((1, 4), np.float32)
GIGABYTE = 1 << 30


@dataclass(frozen=True)
class Source:
    """A registry with versions, what its state says of them, and a channel to it."""

    address: str
    records: list[VersionRecord]
    channel: grpc.aio.Channel

    def cache(
        self, folder: Path, max_bytes: int = GIGABYTE, leases: CacheLeases | None = None
    ) -> ArtifactCache:
        """A cache that is filled from here."""
        source = RegistrySource(PlainPeer(self.channel))
        return ArtifactCache(folder, source, max_bytes, leases or CacheLeases(), FileChecks())


@asynccontextmanager
async def source(
    redis_url: str, namespace: str, folder: Path, models: int = 1
) -> AsyncIterator[Source]:
    """A registry with so many models, each of which adds its place to what it gets."""
    chosen = registry_settings(redis_url, namespace, folder / "registry")
    async with open_registry(chosen, asyncio.Event()) as registry:
        async with AsyncClient(registry=registry.grpc_address) as client:
            for place in range(models):
                await client.push(f"m{place}", onnx_file(bias=place + 1))
        async with open_redis(redis_url) as redis:
            snapshot = await read_snapshot(redis, Keys(namespace))
        records = [snapshot.catalog.versions[f"m{place}", 1] for place in range(models)]
        async with grpc.aio.insecure_channel(registry.grpc_address) as channel:
            yield Source(registry.grpc_address, records, channel)


@asynccontextmanager
async def replica(
    redis_url: str, namespace: str, folder: Path, address: str, **changes: Any
) -> AsyncIterator[Replica]:
    """A replica on free ports, whose data is in a folder."""
    settings: dict[str, Any] = {"namespace": namespace, "tuning_seconds": 0.0}
    async with running_replica(redis_url, folder, address, **settings | changes) as opened:
        yield opened


async def all_ready(opened: Replica, count: int) -> None:
    """Wait until so many versions are ready."""
    async with asyncio.timeout(60):
        while [LoadState.READY] * count != [each.state for each in opened.reconciler.versions()]:
            opened.reconciler.changed.clear()
            await opened.reconciler.changed.wait()


async def answer_of(opened: Replica, model: str = "m0") -> float:
    """What a model makes of zeros."""
    async with AsyncClient(inference=opened.fronts.grpc_address) as client:
        result = await client.infer(model, {"x": ROW})
    return float(next(iter(result.outputs.values())).flat[0])


def same_size(path: Path) -> None:
    """Alter one bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def shorter(path: Path) -> None:
    """Cut the file."""
    path.write_bytes(path.read_bytes()[:-1])


async def test_replicas_that_share_a_folder_start_together(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """On an empty cache that is too small for anything, with several loads at a time, both are ready."""
    models = 4
    small = {"cache_max_bytes": 100, "prepared_max_bytes": 1000, "max_loading": 4}
    async with source(redis_url, namespace, tmp_path, models) as there, AsyncExitStack() as stack:
        both = [
            await stack.enter_async_context(
                replica(redis_url, namespace, tmp_path / "data", there.address, **small)
            )
            for _ in range(2)
        ]
        await asyncio.gather(*[all_ready(each, models) for each in both])
        answers = [await answer_of(each, f"m{models - 1}") for each in both]
    assert [float(models)] * 2 == answers


async def test_parallel_fetches_and_prunings_of_one_folder(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Three caches fetch and prune the same versions: each has what it has in use, and whole."""
    async with source(redis_url, namespace, tmp_path, models=3) as there, AsyncExitStack() as stack:

        async def fetch_all() -> None:
            leases = stack.enter_context(open_cache_leases(tmp_path / "in-use"))
            cache = there.cache(tmp_path / "cache", 1, leases)
            for _ in range(2):
                for record in there.records:
                    leases.hold(record.digest)
                    folder = await cache.fetch(record)
                    cache._added_bytes = GIGABYTE
                    await cache.prune(set)
                    await asyncio.to_thread(FileChecks().check, folder, record)
                    leases.release(record.digest)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(fetch_all())
        cache = there.cache(
            tmp_path / "cache", 1, stack.enter_context(open_cache_leases(tmp_path / "in-use"))
        )
        await cache.prune(set)
    assert [] == [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


async def test_what_another_process_uses_is_kept(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """And goes as soon as it uses it no more."""
    async with source(redis_url, namespace, tmp_path) as there:
        (record,) = there.records
        with (
            open_cache_leases(tmp_path / "in-use") as theirs,
            open_cache_leases(tmp_path / "in-use") as ours,
        ):
            theirs.hold(record.digest)
            folder = await there.cache(tmp_path / "cache", 1, theirs).fetch(record)
            await there.cache(tmp_path / "cache", 1, ours).prune(set)
            kept = folder.exists()
            theirs.release(record.digest)
            await there.cache(tmp_path / "cache", 1, ours).prune(set)
    assert (True, False) == (kept, folder.exists())


async def test_a_file_is_downloaded_by_one_at_a_time(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Who finds another at it waits, and has what that one made."""
    async with source(redis_url, namespace, tmp_path) as there:
        (record,) = there.records
        (file,) = record.files
        cache = there.cache(tmp_path / "cache")
        blob = tmp_path / "cache" / "blobs" / file.sha256
        with claim(blob.with_name(f"{file.sha256}.partial")) as claimed:
            assert claimed is not None
            fetching = asyncio.create_task(cache.fetch(record))
            done, _ = await asyncio.wait([fetching], timeout=0.3)
            blob.write_bytes(onnx_file(bias=1))
            await fetching
        assert (set(), blob.stat().st_ino) == (
            done,
            (tmp_path / "cache" / "versions" / record.digest / file.path).stat().st_ino,
        )


async def test_a_download_that_another_does_not_go_on_with_is_made_anew(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A process that was stopped holds its file for ever."""
    async with source(redis_url, namespace, tmp_path) as there:
        (record,) = there.records
        leases, checks = CacheLeases(), FileChecks()
        cache = ArtifactCache(
            tmp_path / "cache",
            RegistrySource(PlainPeer(there.channel)),
            GIGABYTE,
            leases,
            checks,
            idle_seconds=0.2,
        )
        partial = tmp_path / "cache" / "blobs" / f"{record.files[0].sha256}.partial"
        with claim(partial) as claimed:
            assert claimed is not None
            checks.check(await cache.fetch(record), record)


async def test_loads_outlive_a_hand_that_removes_files(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Whatever goes from the caches while versions load, they are ready in the end."""
    models = 4
    async with source(redis_url, namespace, tmp_path, models) as there:
        data = tmp_path / "data"
        vandal = asyncio.create_task(remove_files(data))
        opening = replica(redis_url, namespace, data, there.address, max_loading=4, join_seconds=0)
        async with opening as opened:
            await asyncio.wait([vandal], timeout=1.5)
            vandal.cancel()
            await all_ready(opened, models)
            assert float(models) == await answer_of(opened, f"m{models - 1}")


async def remove_files(data: Path) -> None:
    """Remove a file of the caches again and again."""
    chosen = random.Random(7)
    while True:
        await asyncio.to_thread(remove_one_of, data, chosen)
        await asyncio.sleep(0.005)


def remove_one_of(data: Path, chosen: random.Random) -> None:
    """Remove one of them."""
    files = [path for path in data.rglob("*") if path.is_file() and "in-use" not in path.parts]
    if files:
        chosen.choice(files).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("left", "heals"), [(lambda data: data[:100], True), (lambda data: b"\0" * 100, False)]
)
async def test_a_download_goes_on_where_another_life_left_it(
    redis_url: str,
    namespace: str,
    tmp_path: Path,
    left: Callable[[bytes], bytes],
    heals: bool,
) -> None:
    """What comes of it is compared with the digest; what was wrong is fetched from the beginning."""
    async with source(redis_url, namespace, tmp_path) as there:
        (record,) = there.records
        cache = there.cache(tmp_path / "cache")
        partial = tmp_path / "cache" / "blobs" / f"{record.files[0].sha256}.partial"
        partial.write_bytes(left(onnx_file(bias=1)))
        if not heals:
            with pytest.raises(Unavailable) as refused:
                await cache.fetch(record)
            assert "ARTIFACT_CORRUPT" == refused.value.reason
        FileChecks().check(await cache.fetch(record), record)


@pytest.mark.parametrize("alter", [same_size, shorter])
@pytest.mark.parametrize("pattern", ["artifacts/versions/*/*.onnx", f"prepared/*/*/{GRAPH}"])
async def test_altered_files_are_never_served(
    redis_url: str,
    namespace: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    pattern: str,
    alter: Callable[[Path], None],
) -> None:
    """Whatever lies altered in the cache is seen before it is opened, discarded, and made anew."""
    async with source(redis_url, namespace, tmp_path) as there:
        opening = (redis_url, namespace, tmp_path / "data", there.address)
        async with replica(*opening) as first:
            await all_ready(first, 1)
            expected = await answer_of(first)
        if "artifacts" in pattern:  # else nobody opens it
            for place in (tmp_path / "data" / "prepared").rglob(GRAPH):
                place.unlink()
        (altered,) = (tmp_path / "data").glob(pattern)
        alter(altered)
        caplog.clear()
        async with replica(*opening) as second:
            await all_ready(second, 1)
            assert expected == await answer_of(second)
    errors = {each.message for each in caplog.records if each.levelname == "ERROR"}
    assert {"a file of the cache is damaged: it is discarded and made anew"} == errors
