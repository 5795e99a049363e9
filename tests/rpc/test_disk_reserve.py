"""Pushes leave room on the registry's disk, so that the shared state can always be written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from headrace import errors
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.service.disk_reserve import DiskReserve
from tests.rpc.registry_fixtures import error_of, onnx_file, push, running_registry

GIB = 1 << 30


async def test_a_push_that_would_use_the_reserve_is_refused_before_it_is_sent(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Nothing is received, what is there can be deleted, and the message says what to do."""
    free = shutil.disk_usage(tmp_path).free
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
    async with running_registry(
        redis_url, namespace, tmp_path, disk_reserve_bytes=2 * free
    ) as running:
        before = running.stored_files()
        refused = await error_of(running.stub.PushVersion(iter([_header()]), timeout=20))
        assert running.stored_files() == before
        await running.stub.DeleteModel(pb.DeleteModelRequest(name="models/digits", force=True))
    assert ("DISK_FULL", errors.ResourceExhausted) == (refused.reason, type(refused))
    assert "disk_reserve_bytes" in refused.message
    assert refused.facts["kept"] == str(2 * free)


async def test_a_disk_that_fills_up_during_a_push_ends_it(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room is looked at with every chunk, for others write to the disk too; the next push is served."""
    artifact = onnx_file()
    async with running_registry(redis_url, namespace, tmp_path) as running:
        real = shutil.disk_usage
        usages = iter([real(tmp_path)])
        monkeypatch.setattr(shutil, "disk_usage", lambda _: next(usages, (100 * GIB, 100 * GIB, 1)))
        with pytest.raises(Exception, match="disk has 1 free"):
            await push(running, artifact)
        assert running.stored_files() == set()
        monkeypatch.undo()
        assert (await push(running, artifact)).name == "models/digits/versions/1"


@pytest.mark.parametrize(
    ("total", "bytes_kept", "kept"),
    [(10 * GIB, None, GIB // 2), (1000 * GIB, None, GIB), (10 * GIB, 0, 0), (10 * GIB, 7, 7)],
)
def test_what_is_kept(
    total: int, bytes_kept: int | None, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The smaller of 1 GiB and 5 % of the disk, or what the setting says."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: (total, 0, total))
    assert total - kept == DiskReserve(tmp_path, bytes_kept).room().left
    half = DiskReserve(tmp_path, bytes_kept, part=0.5).room().left
    assert total - (kept // 2 if bytes_kept is None else kept) == half


def _header() -> Any:
    return pb.PushVersionRequest(
        header=pb.PushVersionRequest.Header(
            parent="models/digits", filename="model.onnx", size_bytes=1 << 20, sha256="0" * 64
        )
    )
