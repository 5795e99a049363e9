"""A real registry while its real server is killed, away, and back."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from headrace import errors
from headrace.local import embedded_redis
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    error_of,
    onnx_file,
    push,
    read_blob,
    running_registry,
)

MODEL = pb.GetModelRequest(name="models/digits")


async def test_nothing_acknowledged_is_lost_when_the_server_dies(
    namespace: str, tmp_path: Path
) -> None:
    """While it is away reads go on and writes say when to retry; when it is back, all is there."""
    artifact = onnx_file()
    binary = embedded_redis.find_server()
    with embedded_redis.open_location(tmp_path / "state") as place:
        async with embedded_redis.open_server_process(binary, place) as process:
            registry = running_registry(place.url, namespace, tmp_path / "registry")
            running = await registry.__aenter__()
            version = await push(running, artifact, header={"alias": "champion"})
            process.kill()
            await process.wait()
            await _wait_for_readiness(running, expected=503)
            read = await running.stub.GetModel(MODEL)
            blob = await read_blob(running, version.files[0].sha256)
            refused = [await error_of(_write(running)), await error_of(push(running, artifact))]
        async with embedded_redis.open_server_process(binary, place):
            await _wait_for_readiness(running, expected=200)
            after = await running.stub.GetModel(MODEL)
            second = await push(running, onnx_file(bias=2))
            await registry.__aexit__(None, None, None)
            async with running_registry(place.url, namespace, tmp_path / "registry") as again:
                listed = await again.stub.ListVersions(
                    pb.ListVersionsRequest(parent="models/digits")
                )
    assert read == after
    assert artifact == blob
    assert [second, version] == list(listed.versions)
    assert [errors.Unavailable] * 2 == [type(error) for error in refused]
    assert ["STATE_UNAVAILABLE"] * 2 == [error.reason for error in refused]
    assert [1.0, 1.0] == [error.retry_after_seconds for error in refused]


async def test_a_registry_that_starts_without_its_server_waits_for_it(
    namespace: str, tmp_path: Path
) -> None:
    """Before the first contact nothing is known, so reads are UNAVAILABLE; then the registry serves."""
    binary = embedded_redis.find_server()
    with embedded_redis.open_location(tmp_path / "state") as place:
        async with running_registry(place.url, namespace, tmp_path / "registry") as running:
            error = await error_of(running.stub.GetModel(MODEL))
            async with embedded_redis.open_server_process(binary, place):
                await _wait_for_readiness(running, expected=200)
                version = await push(running, onnx_file())
    assert isinstance(error, errors.Unavailable)
    assert 1 == version.number


async def test_a_state_that_was_emptied_is_not_begun_again_in_silence(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What was known is still read; writes are refused until somebody has looked and restarts."""
    keys = Keys(namespace)
    async with (
        open_redis(redis_url) as redis,
        running_registry(redis_url, namespace, tmp_path) as running,
    ):
        version = await push(running, onnx_file(), header={"alias": "champion"})
        await redis.delete(keys.epoch, keys.revision, keys.models, keys.versions, keys.changes)
        error = await error_of(_write(running))
        read = await running.stub.GetVersion(pb.GetVersionRequest(name=version.name))
    assert isinstance(error, errors.Unavailable)
    assert "STATE_NOT_STARTED" == error.reason
    assert version == read


async def test_a_server_that_can_lose_changes_is_warned_of(
    namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without an append-only file the registry works, and its log says at the start what a crash loses."""
    async with (
        embedded_redis.open_embedded_server(tmp_path / "state") as url,
        open_redis(url) as redis,
    ):
        await redis.config_set("appendonly", "no")
        async with running_registry(url, namespace, tmp_path / "registry") as running:
            version = await push(running, onnx_file())
    assert 1 == version.number
    assert "the server's appendonly is off" in caplog.text


async def _write(running: RunningRegistry) -> None:
    await running.stub.UpdateAlias(
        pb.UpdateAliasRequest(alias={"name": "models/digits/aliases/champion", "version": 1})
    )


async def _wait_for_readiness(running: RunningRegistry, expected: int) -> None:
    async with asyncio.timeout(20):
        while await asyncio.to_thread(_readiness, running.http_address) != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _readiness(address: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
