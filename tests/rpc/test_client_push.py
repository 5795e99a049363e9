"""Pushing through the client, against a registry that takes notes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from headrace import errors
from headrace.client import Progress
from headrace.client.artifact import CHUNK_BYTES
from headrace.registry.v1 import registry_service_pb2_grpc, version_pb2
from headrace.state.records import ServingConfig
from tests.rpc.client_fixtures import open_client


class Registry(registry_service_pb2_grpc.RegistryServiceServicer):
    """Takes pushes; fails with what it is told to, after the header or after all bytes."""

    def __init__(self, *failures: tuple[str, errors.HeadraceError]) -> None:
        self.failures = list(failures)
        self.headers: list[Any] = []
        self.content = b""

    async def PushVersion(self, requests: Any, context: Any) -> version_pb2.Version:
        where, error = self.failures.pop(0) if self.failures else ("", None)
        self.content = b""
        async for request in requests:
            if request.WhichOneof("part") == "header":
                self.headers.append(request.header)
                if error is not None and where == "header":
                    raise error
            self.content += request.chunk
        if error is not None:
            raise error
        return version_pb2.Version(name=f"{self.headers[-1].parent}/versions/4", number=4)


AWAY = errors.Unavailable("STATE_UNAVAILABLE", "away")


async def test_a_push_sends_header_and_bytes_and_reports_progress(tmp_path: Path) -> None:
    """Name, size and digest come first; every phase is reported up to its end."""
    path = tmp_path / "net.zip"
    path.write_bytes(b"z" * (CHUNK_BYTES + 1))
    reports: list[Progress] = []
    registry = Registry()
    async with open_client(registry) as client:
        version = await client.push(
            "digits",
            path,
            alias="champion",
            description="better",
            config={"instances": 2},
            progress=reports.append,
        )

    (header,) = registry.headers
    total = CHUNK_BYTES + 1
    assert ("digits", 4) == (version.model, version.number)
    assert path.read_bytes() == registry.content
    assert ("net.zip", total, "champion") == (header.filename, header.size_bytes, header.alias)
    assert header.create_model
    assert header.serving_config.instances == 2
    assert not header.serving_config.HasField("batching")
    assert Progress("hashing", total, total) in reports
    assert [Progress("sending", total, total), Progress("checking", total, total)] == reports[-2:]


@pytest.mark.parametrize("where", ["header", "end"])
async def test_a_push_is_sent_again_from_its_start_with_its_request_id(where: str) -> None:
    """A registry that goes away during a push gets the same push again."""
    content = b"m" * (3 * CHUNK_BYTES)
    registry = Registry((where, AWAY), (where, AWAY))
    async with open_client(registry) as client:
        await client.push("digits", content)

    assert content == registry.content
    assert len({header.request_id for header in registry.headers}) == 1
    assert len(registry.headers) == 3


async def test_what_the_registry_refuses_early_is_its_error() -> None:
    """An error that comes before the bytes are sent ends the push with that error."""
    refused = errors.ResourceExhausted("ARTIFACT_TOO_LARGE", "over the limit")
    async with open_client(Registry(("header", refused))) as client:
        with pytest.raises(errors.ResourceExhausted, match="over the limit"):
            await client.push("digits", b"m" * (20 * CHUNK_BYTES))


@pytest.mark.parametrize("reason", ["TOO_MANY_PUSHES", "STAGING_FULL"])
async def test_a_push_waits_for_room(reason: str) -> None:
    """Where the registry says that there will be some, up to the caller's deadline."""
    full = errors.ResourceExhausted(reason, "full", retry_after_seconds=0.01)
    reports: list[Progress] = []
    registry = Registry(("header", full), ("header", full))
    async with open_client(registry) as client:
        await client.push("digits", b"m", progress=reports.append)
        later = errors.ResourceExhausted(reason, "come tomorrow", retry_after_seconds=86400.0)
        registry.failures = [("header", later)]
        with pytest.raises(errors.ResourceExhausted, match="come tomorrow"):
            await client.push("digits", b"m")
    assert Progress("waiting", 0, 1) in reports


async def test_a_push_that_will_never_fit_does_not_wait() -> None:
    """There is no delay in its refusal."""
    never = errors.ResourceExhausted("STAGING_FULL", "raise the setting")
    async with open_client(Registry(("header", never))) as client:
        with pytest.raises(errors.ResourceExhausted, match="raise the setting"):
            await client.push("digits", b"m")


async def test_a_whole_serving_config_is_sent_whole() -> None:
    """A ServingConfig, as a version carries it, sets every field."""
    registry = Registry()
    async with open_client(registry) as client:
        await client.push("digits", b"m", config=ServingConfig(instances=3))

    config = registry.headers[0].serving_config
    assert config.instances == 3
    assert config.batching.HasField("max_batch_size")


async def test_an_unknown_field_of_a_config_is_refused() -> None:
    """A misspelt setting is not passed over."""
    async with open_client(Registry()) as client:
        with pytest.raises(errors.InvalidArgument, match="instance_count"):
            await client.push("digits", b"m", config={"instance_count": 3})


async def test_a_push_that_is_cancelled_ends_at_the_registry_too() -> None:
    """Cancelling the caller's task cancels the call, and the artifact's file is closed."""
    arrived, left = asyncio.Event(), asyncio.Event()

    class Waiting(Registry):
        async def PushVersion(self, requests: Any, context: Any) -> version_pb2.Version:
            arrived.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()
            raise AssertionError("it never ends by itself")

    async with open_client(Waiting()) as client:
        task = asyncio.ensure_future(client.push("digits", b"m" * (20 * CHUNK_BYTES)))
        await asyncio.wait_for(arrived.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(left.wait(), 10)
