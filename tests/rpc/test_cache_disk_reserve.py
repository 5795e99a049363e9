"""Copies of artifacts leave room on a replica's disk: unused ones go, what does not fit is not fetched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headrace.errors import Unavailable
from headrace.service.disk_reserve import DiskReserve
from headrace.tls.peers import PlainPeer
from headrace_inference.adapters.artifact_cache.file_checks import FileChecks
from headrace_inference.adapters.artifact_cache.leases import CacheLeases
from headrace_inference.adapters.artifact_cache.sources import RegistrySource
from headrace_inference.adapters.artifact_cache.store import ArtifactCache
from tests.rpc.test_inference_cache import Source, all_ready, replica, source

GIGABYTE = 1 << 30


def cache_of(origin: Source, folder: Path) -> ArtifactCache:
    """A cache of a gigabyte on a disk of which everything but what it finds free is kept."""
    return ArtifactCache(
        folder,
        RegistrySource(PlainPeer(origin.channel)),
        GIGABYTE,
        CacheLeases(),
        FileChecks(),
        DiskReserve(folder, 0),
    )


async def test_a_version_without_room_is_not_fetched(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how much room there is; when there is room, the download goes on."""
    async with source(redis_url, namespace, tmp_path) as origin:
        cache, (record,) = cache_of(origin, tmp_path / "cache"), origin.records
        with monkeypatch.context() as full:
            full.setattr(shutil, "disk_usage", lambda _: (GIGABYTE, GIGABYTE, 7))
            await cache.make_room(record, lambda: ())
            with pytest.raises(Unavailable, match=r"7 bytes free.*disk_reserve_bytes") as refused:
                await cache.fetch(record)
        folder = await cache.fetch(record)
        assert (folder / record.graph_path).stat().st_size == record.files[0].size_bytes
    assert "CACHE_DISK_FULL" == refused.value.reason


async def test_unused_versions_make_room(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest unused go first, and no more of them than are needed; those that are wanted stay."""
    async with source(redis_url, namespace, tmp_path, models=4) as origin:
        cache = cache_of(origin, tmp_path / "cache")
        *fetched, last = origin.records
        for record in fetched:
            await cache.fetch(record)
        short = last.size_bytes - 1
        monkeypatch.setattr(shutil, "disk_usage", lambda _: (GIGABYTE, 0, short))
        await cache.make_room(last, lambda: {fetched[0].digest})
    left = {path.name for path in (tmp_path / "cache" / "versions").iterdir()}
    assert {fetched[0].digest, fetched[2].digest, last.digest} == left


async def test_a_prepared_version_without_room_serves_as_it_was_pushed(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A saved graph is a convenience: the status says why there is none."""
    async with source(redis_url, namespace, tmp_path) as origin:
        cached = tmp_path / "replica"
        async with replica(redis_url, namespace, cached, origin.address) as opened:
            await all_ready(opened, 1)
        shutil.rmtree(cached / "prepared")
        async with replica(
            redis_url, namespace, cached, origin.address, disk_reserve_bytes=1 << 60
        ) as opened:
            await all_ready(opened, 1)
            (version,) = opened.reconciler.versions()
    assert "disk_reserve_bytes" in version.reason
