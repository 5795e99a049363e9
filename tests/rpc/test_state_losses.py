"""What registry and replica do about a state of which records are gone, or that cannot be reached."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from headrace import AsyncClient, errors
from headrace.local import embedded_redis
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.state.connection import open_redis, redis_errors
from headrace.state.keys import Keys
from headrace.state.reachable import wait_until_reachable
from tests.rpc.registry_fixtures import error_of, eventually, onnx_file, push, running_registry
from tests.rpc.test_inference_readiness import readiness, replica

LIST = pb.ListModelsRequest()


async def test_a_loss_is_said_and_what_is_known_is_kept(
    redis_url: str, namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Reads and the replica go on, writes are refused, and neither starts again with an empty catalog."""
    keys = Keys(namespace)
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(open_redis(redis_url))
        async with (
            running_registry(redis_url, namespace, tmp_path / "registry") as running,
            replica(redis_url, namespace, tmp_path / "running") as serving,
        ):
            await push(running, onnx_file())
            await serving.follower.wait_for_revision(1)
            await redis.delete(keys.models, keys.versions)
            await eventually(lambda: not serving.follower.whole)
            refused = await error_of(push(running, onnx_file(bias=2)))
            models = (await running.stub.ListModels(LIST)).models
            _, facts = await readiness(serving)
            known = len(serving.follower.catalog.versions)
        assert ("STATE_NOT_WHOLE", 1, 1) == (refused.reason, len(models), known)
        assert (True, False) == (facts["state_connected"], facts["state_whole"])
        assert facts["applied_revision"] == 1
        lines = [r for r in caplog.records if "records of the shared state are gone" in r.message]
        assert 2 == len(lines), "one of the registry, one of the replica"

        again = running_registry(redis_url, namespace, tmp_path / "registry")
        running = await stack.enter_async_context(again)
        restarted = await stack.enter_async_context(
            replica(redis_url, namespace, tmp_path / "restarted")
        )
        await eventually(lambda: not restarted.follower.whole)
        client = await stack.enter_async_context(
            AsyncClient(inference=restarted.fronts.grpc_address)
        )
        status, facts = await readiness(restarted)
        read = await error_of(running.stub.ListModels(LIST))
        assert (False, 503) == (await client.server_ready(), status)
        assert ("STATE_NOT_WHOLE", False) == (read.reason, facts["state_whole"])
        assert "0 and 0 are there" in str(facts["state_problem"])
        assert len(list((tmp_path / "registry").rglob("*"))) > 3, "the version's blobs are kept"


@pytest.mark.parametrize("lost", ["numbers", "change_hash"])
async def test_no_part_of_a_state_goes_unnoticed(
    redis_url: str, namespace: str, tmp_path: Path, lost: str
) -> None:
    """The last numbers of deleted models and the newest hash belong to the state, as its records do."""
    keys = Keys(namespace)
    request = pb.CreateModelRequest(model={"name": "models/m"})
    async with open_redis(redis_url) as redis:
        async with (
            running_registry(redis_url, namespace, tmp_path / "registry") as running,
            replica(redis_url, namespace, tmp_path / "replica") as serving,
        ):
            await running.stub.CreateModel(request)
            await running.stub.DeleteModel(pb.DeleteModelRequest(name="models/m"))
            await redis.delete(getattr(keys, lost))
            await eventually(lambda: not serving.follower.whole)
            assert "STATE_NOT_WHOLE" == (await error_of(running.stub.CreateModel(request))).reason
        async with running_registry(redis_url, namespace, tmp_path / "registry") as running:
            assert "STATE_NOT_WHOLE" == (await error_of(running.stub.CreateModel(request))).reason


@pytest.mark.parametrize(
    ("policy", "maxmemory", "said"),
    [("allkeys-lru", "50mb", True), ("allkeys-lru", "0", False), ("noeviction", "50mb", False)],
)
async def test_a_server_that_may_evict_is_an_error_at_the_start(
    namespace: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    policy: str,
    maxmemory: str,
    said: bool,
) -> None:
    """The line names the setting, its value and the command that mends it."""
    async with (
        embedded_redis.open_embedded_server(tmp_path / "state") as url,
        open_redis(url) as redis,
    ):
        await redis.config_set("maxmemory", maxmemory)
        await redis.config_set("maxmemory-policy", policy)
        async with running_registry(url, namespace, tmp_path / "registry") as running:
            await push(running, onnx_file())
    lines = [record for record in caplog.records if record.levelname == "ERROR"]
    assert said == bool(lines)
    if lines:
        assert f"maxmemory-policy {policy}" in lines[0].message
        assert "CONFIG SET maxmemory-policy noeviction" in lines[0].message


async def test_reads_name_the_server_that_was_never_reached(
    namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With its password hidden, in one line of the log however often it is tried."""
    url = f"redis://:secret@127.0.0.1:{closed_port()}/0"
    async with running_registry(url, namespace, tmp_path) as running:
        errors_seen = [await error_of(running.stub.ListModels(LIST)) for _ in range(3)]
    shown = url.replace("secret", "***")
    assert {"STATE_UNAVAILABLE"} == {error.reason for error in errors_seen}
    assert all(f"the shared state at {shown}" in error.message for error in errors_seen)
    lines = [record for record in caplog.records if "shared state" in record.message]
    assert 1 == len(lines)
    assert shown in lines[0].message
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda url: f"{url}?db=4711", "DB index"),
        (lambda url: f"{url}?username=nobody&password=wrong", "invalid username-password"),
    ],
)
async def test_wrong_databases_and_passwords_are_unavailable(
    redis_url: str, change: Any, wrong: str
) -> None:
    """They name the server and what it answered, and end no service."""
    async with open_redis(change(redis_url)) as redis:
        with pytest.raises(errors.Unavailable) as caught, redis_errors(redis):
            await redis.ping()
    assert redis.address in caught.value.message
    assert wrong in caught.value.message


@pytest.mark.parametrize("rights", [["+@all"], ["+@all", "-ping"]])
async def test_a_server_is_reachable_for_who_may_use_it(tmp_path: Path, rights: list[str]) -> None:
    """It is waited for until the user is there; what the user may not ask besides is no reason to wait."""
    async with (
        embedded_redis.open_embedded_server(tmp_path) as url,
        open_redis(url) as redis,
    ):
        mine = f"{url}?username=me&password=secret"
        waiting = asyncio.ensure_future(wait_until_reachable(mine))
        async with open_redis(mine) as refused:
            with pytest.raises(errors.Unavailable), redis_errors(refused):
                await refused.ping()
        assert not waiting.done()
        await redis.send("ACL", "SETUSER", "me", "on", ">secret", "~*", *rights)
        await asyncio.wait_for(waiting, 10)


async def test_a_server_of_another_protocol_is_unavailable() -> None:
    """What answers there is no Redis-protocol server, and the message says so."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_redis(f"redis://127.0.0.1:{port}") as redis:
            with pytest.raises(errors.Unavailable) as caught, redis_errors(redis):
                await redis.ping()
    assert f"redis://127.0.0.1:{port}" in caught.value.message


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
