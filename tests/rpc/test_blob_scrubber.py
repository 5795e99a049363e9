"""Damage to bytes at rest is found before anybody needs them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from pathlib import Path
from urllib.request import urlopen

import pytest

from headrace import errors
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace_registry.adapters.blobs import scrubber
from headrace_registry.adapters.blobs.slow_reading import slow_digest
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    error_of,
    onnx_file,
    push,
    read_blob,
    running_registry,
)

DELETE = pb.DeleteModelRequest(name="models/digits", force=True)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubber, "PASS_SECONDS", 0.1)
    monkeypatch.setattr(scrubber, "RECHECK_SECONDS", 0.05)


async def damaged(running: RunningRegistry) -> int:
    """How many blobs the registry says are damaged, in its metrics and its readiness."""
    metrics = await asyncio.to_thread(_get, f"http://{running.http_address}/metrics")
    lines = [line for line in metrics.splitlines() if "damaged_blobs " in line and line[0] != "#"]
    ready = json.loads(await asyncio.to_thread(_get, f"http://{running.http_address}/readyz"))
    counted = int(float(lines[0].split()[1]))
    return counted if counted == ready["damaged_blobs"] else -1


def _get(url: str) -> str:
    with urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


async def until_damaged(running: RunningRegistry, count: int) -> None:
    """Wait until so many are known to be damaged."""
    async with asyncio.timeout(10):
        while await damaged(running) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def blob(data: Path, digest: str) -> Path:
    """Where a blob lies."""
    return data / "blobs" / digest[:2] / digest


@pytest.mark.parametrize("how", ["altered", "cut", "gone"])
async def test_damage_is_found_and_a_push_heals_it(
    redis_url: str, namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """It is logged with the versions concerned, counted, and forgotten once the bytes are right."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        version = await push(running, onnx_file())
        await push(running, onnx_file(bias=2.0))
        path = blob(tmp_path, version.files[0].sha256)
        stored = path.read_bytes()
        match how:
            case "altered":
                path.write_bytes(b"\0" + stored[1:])
            case "cut":
                path.write_bytes(stored[:-1])
            case "gone":
                path.unlink()
        await until_damaged(running, 1)
        await push(running, onnx_file())
        await until_damaged(running, 0)
        assert onnx_file() == await read_blob(running, version.files[0].sha256)
    (said,) = {record.message for record in caplog.records if record.levelno == logging.ERROR}
    assert "push digits/1 again" in said


async def test_damage_that_a_reader_found_is_known_without_scrubbing(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """It counts as well, and no longer when its version is deleted."""
    async with running_registry(
        redis_url, namespace, tmp_path, scrub_bytes_per_second=0
    ) as running:
        version = await push(running, onnx_file())
        digest = version.files[0].sha256
        blob(tmp_path, digest).write_bytes(b"something else")
        assert 0 == await damaged(running)
        call = running.stub.ReadBlob(pb.ReadBlobRequest(sha256=digest), timeout=20)
        assert isinstance(await error_of(_read(call)), errors.DataLoss)
        assert 1 == await damaged(running)
        await running.stub.DeleteModel(DELETE)
        await until_damaged(running, 0)


async def test_reading_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between chunks it waits as long as the rate asks for."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    path = tmp_path / "blob"
    path.write_bytes(bytes(3 << 20))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with path.open("rb") as file:
        found = await slow_digest(file, 2 << 20)
    assert hashlib.sha256(bytes(3 << 20)).hexdigest() == found
    assert [0.5] * 3 == waited


async def _read(call: object) -> None:
    async for _ in call:  # type: ignore[attr-defined]
        pass
