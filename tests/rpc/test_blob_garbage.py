"""What interrupted pushes and deletes leave is removed while the registry runs, and nothing else is."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace import errors
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace_registry.adapters.blobs.store import BlobStore
from headrace_registry.adapters.shared_state.change_log import RedisChangeLog
from headrace_registry.app import following
from headrace_registry.domain.pushes import blob_garbage
from tests.rpc.registry_fixtures import (
    error_of,
    eventually,
    onnx_file,
    push,
    push_messages,
    read_blob,
    running_registry,
)

LOST = errors.Unavailable("STATE_UNAVAILABLE", "the connection broke")
DELETE = pb.DeleteModelRequest(name="models/digits", force=True)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob_garbage, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(following, "GARBAGE_SECONDS", 0.05)


def break_commits(monkeypatch: pytest.MonkeyPatch, *, made: bool) -> None:
    """Lose the connection in every commit: after the change was made, or before."""
    commit = RedisChangeLog.commit

    async def broken(log: RedisChangeLog, *args: Any) -> None:
        if made:
            await commit(log, *args)
        raise LOST

    monkeypatch.setattr(RedisChangeLog, "commit", broken)


def noted(data: Path) -> int:
    """How many notes there are."""
    return len(list((data / "storing").iterdir()))


@pytest.mark.parametrize("made", [True, False])
async def test_a_push_whose_end_is_not_known(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, made: bool
) -> None:
    """Its blob stays if its version is there after all, and goes if not, without a restart."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        with monkeypatch.context() as broken:
            break_commits(broken, made=made)
            with pytest.raises(grpc.RpcError, match="the connection broke"):
                await push(running, onnx_file())
        assert 1 == noted(tmp_path)
        await eventually(lambda: noted(tmp_path) == 0)
        assert (1 if made else 0) == len(running.stored_files())
        version = await push(running, onnx_file())
        assert onnx_file() == await read_blob(running, version.files[0].sha256)
    assert (2 if made else 1) == version.number


@pytest.mark.parametrize("made", [True, False])
async def test_a_delete_whose_end_is_not_known(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, made: bool
) -> None:
    """The blobs go if the versions are gone, and stay if not."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        with monkeypatch.context() as broken:
            break_commits(broken, made=made)
            await error_of(running.stub.DeleteModel(DELETE))
        assert 1 == noted(tmp_path)
        await eventually(lambda: noted(tmp_path) == 0)
        assert (0 if made else 1) == len(running.stored_files())


async def test_a_delete_that_was_killed_before_its_blobs_went(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deletion was made and is answered so; the next registry on the folder removes the bytes."""

    async def fail(*_: object) -> None:
        raise OSError(5, "the disk failed")

    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        monkeypatch.setattr(blob_garbage, "GRACE_SECONDS", 60.0)
        with monkeypatch.context() as broken:
            broken.setattr(BlobStore, "remove", fail)
            await running.stub.DeleteModel(DELETE)
        assert 2 == len(running.stored_files())  # the blob, and the note of it
    monkeypatch.setattr(blob_garbage, "GRACE_SECONDS", 0.0)
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await eventually(lambda: not running.stored_files())


async def test_a_push_whose_caller_goes_while_it_is_committed(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes to its end: the version is there, with its bytes, and no note is left."""
    commit, begun, go_on = RedisChangeLog.commit, asyncio.Event(), asyncio.Event()

    async def slow(log: RedisChangeLog, *args: Any) -> None:
        begun.set()
        await go_on.wait()
        await commit(log, *args)

    artifact = onnx_file()
    async with running_registry(redis_url, namespace, tmp_path) as running:
        monkeypatch.setattr(RedisChangeLog, "commit", slow)
        announced = {"parent": "models/digits", "filename": "m.onnx", "create_model": True}
        messages = push_messages(artifact, announced | _announcement(artifact))
        call = running.blocking_stub.PushVersion.future(messages, timeout=60)
        await asyncio.wait_for(begun.wait(), 20)
        call.cancel()
        go_on.set()
        await eventually(lambda: noted(tmp_path) == 0)
        listed = await running.stub.ListVersions(pb.ListVersionsRequest(parent="models/digits"))
        (version,) = listed.versions
        assert artifact == await read_blob(running, version.files[0].sha256)


async def test_a_disk_without_room_for_a_note_takes_deletes(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are what makes room."""

    async def full(*_: object) -> Path:
        raise errors.ResourceExhausted("DISK_FULL", "the disk is full")

    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        monkeypatch.setattr(BlobStore, "record_intent", full)
        await running.stub.DeleteModel(DELETE)
        assert set() == running.stored_files()


def _announcement(artifact: bytes) -> dict[str, Any]:
    return {"size_bytes": len(artifact), "sha256": hashlib.sha256(artifact).hexdigest()}
