"""Pushes that take up room: too many, too large together, or too slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import disk_usage
from typing import Any

import aiohttp
import pytest

from headrace import errors
from headrace.registry.v1 import registry_service_pb2 as pb
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    error_of,
    eventually,
    onnx_file,
    push,
    running_registry,
)

MIB = 1 << 20
GIB = 1 << 30


@asynccontextmanager
async def stalled_push(
    running: RunningRegistry, size: int, sent: bytes = b"x"
) -> AsyncIterator[Any]:
    """A push that announces this size and comes to a stand after its first bytes."""
    call = running.stub.PushVersion()
    header = pb.PushVersionRequest.Header(
        parent="models/slow", filename="m.tar", size_bytes=size, sha256="0" * 64, create_model=True
    )
    await call.write(pb.PushVersionRequest(header=header))
    if sent:
        await call.write(pb.PushVersionRequest(chunk=sent))
    try:
        yield call
    finally:
        call.cancel()


def staged(running: RunningRegistry) -> int:
    """How many pushes are being received."""
    return len(list((running.settings.data / "staging").iterdir()))


async def test_pushes_over_the_limit_are_told_to_come_later(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """They are refused with a delay, and taken when others have ended."""
    async with running_registry(redis_url, namespace, tmp_path, max_pushes=2) as running:
        async with stalled_push(running, MIB), stalled_push(running, MIB):
            await eventually(lambda: staged(running) == 2)
            error = await error_of(push(running, onnx_file()))
            page = await _metrics(running)
        await eventually(lambda: staged(running) == 0)
        version = await push(running, onnx_file())
    assert ("TOO_MANY_PUSHES", "max_pushes") == (error.reason, error.facts["setting"])
    assert isinstance(error, errors.ResourceExhausted)
    assert error.retry_after_seconds
    assert 1 == version.number
    assert "headrace_registry_pushes_under_way 2.0" in page
    assert "headrace_registry_announced_bytes 2.097152e+06" in page
    assert 'headrace_registry_pushes_total{result="TOO_MANY_PUSHES"} 1.0' in page


async def _metrics(running: RunningRegistry) -> list[str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{running.http_address}/metrics") as response,
    ):
        return (await response.text()).splitlines()


async def test_announced_bytes_count_before_they_are_sent(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Pushes that fit one by one and not together: the later one is refused by its announcement."""
    limits = {"max_artifact_bytes": 3 * GIB, "max_staged_bytes": 3 * GIB}
    async with (
        running_registry(redis_url, namespace, tmp_path, **limits) as running,
        stalled_push(running, 2 * GIB),
    ):
        await eventually(lambda: staged(running) == 1)
        async with stalled_push(running, 2 * GIB, sent=b"") as second:
            later = await error_of(second)
        version = await push(running, onnx_file())
    assert "STAGING_FULL" == later.reason
    assert later.retry_after_seconds
    assert 1 == version.number


async def test_room_on_the_disk_is_taken_by_announcements(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """An archive needs its size twice, and what others announced is no longer free."""
    spare = disk_usage(tmp_path).free
    limits = {"max_artifact_bytes": spare, "max_staged_bytes": spare, "disk_reserve_bytes": 0}
    async with running_registry(redis_url, namespace, tmp_path, **limits) as running:
        async with stalled_push(running, spare * 6 // 10, sent=b"") as large:
            alone = await error_of(large)
        async with stalled_push(running, spare * 3 // 10):
            await eventually(lambda: staged(running) == 1)
            async with stalled_push(running, spare * 3 // 10, sent=b"") as second:
                beside = await error_of(second)
    assert ["DISK_FULL", "DISK_FULL"] == [alone.reason, beside.reason]


@pytest.mark.parametrize("sent", [b"", b"x"])
async def test_a_push_that_stands_still_is_ended(
    redis_url: str, namespace: str, tmp_path: Path, sent: bytes
) -> None:
    """Its place is free again, and nothing of it stays."""
    limits = {"upload_idle_seconds": 0.2, "max_pushes": 1}
    async with running_registry(redis_url, namespace, tmp_path, **limits) as running:
        async with stalled_push(running, MIB, sent) as call:
            error = await error_of(call)
        assert set() == running.stored_files()
        version = await push(running, onnx_file())
    assert isinstance(error, errors.DeadlineExceeded)
    assert ("UPLOAD_STALLED", "upload_idle_seconds") == (error.reason, error.facts["setting"])
    assert 1 == version.number


async def test_a_push_that_never_begins_is_ended(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A stream without a header takes a place, too."""
    limits = {"upload_idle_seconds": 0.2, "max_pushes": 1}
    async with running_registry(redis_url, namespace, tmp_path, **limits) as running:
        error = await error_of(running.stub.PushVersion())
    assert "UPLOAD_STALLED" == error.reason


async def test_a_byte_now_and_then_does_not_hold_a_place(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Pauses shorter than the idle limit add up where next to nothing comes between them."""
    async with running_registry(redis_url, namespace, tmp_path, upload_idle_seconds=0.5) as running:
        # Over the blocking stack: grpc.aio's client loses the status of a call that ends while it sends.
        pushing = asyncio.to_thread(running.blocking_stub.PushVersion, _trickle(), timeout=60)
        error = await error_of(pushing)
    assert "UPLOAD_STALLED" == error.reason


def _trickle() -> Iterator[pb.PushVersionRequest]:
    header = pb.PushVersionRequest.Header(
        parent="models/slow", filename="m.tar", size_bytes=MIB, sha256="0" * 64, create_model=True
    )
    yield pb.PushVersionRequest(header=header)
    for _ in range(200):
        yield pb.PushVersionRequest(chunk=b"x")
        time.sleep(0.05)  # that is how slow it is


async def test_an_announcement_takes_no_memory(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A crowd that announces much and sends little is held in kilobytes each."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        calls = []
        before = _own_bytes()
        for _ in range(60):
            calls.append(running.stub.PushVersion())
            header = pb.PushVersionRequest.Header(
                parent="models/slow", filename="m.tar", size_bytes=MIB, sha256="0" * 64
            )
            header.create_model = True
            await calls[-1].write(pb.PushVersionRequest(header=header))
        await eventually(lambda: staged(running) == 60)
        each = (_own_bytes() - before) / 60
        for call in calls:
            call.cancel()
    assert each < 200_000


def _own_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_an_onnx_file_that_no_parser_takes_is_refused_before_it_is_sent(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Protobuf ends at 2 GiB, whatever the registry's limits."""
    announced = {"size_bytes": 3 * GIB, "filename": "m.onnx"}
    async with running_registry(redis_url, namespace, tmp_path) as running:
        error = await error_of(push(running, b"", header=announced))
    assert "ARTIFACT_TOO_LARGE" == error.reason
    assert "external data" in error.message
