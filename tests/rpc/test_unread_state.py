"""Before the shared state was read nobody is told that a model does not exist."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from headrace import status
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from tests.rpc.registry_fixtures import eventually
from tests.rpc.replica_fixtures import running_replica

FRONTS = ("native", "grpcio")
BODY = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}
UNAVAILABLE = (grpc.StatusCode.UNAVAILABLE, "STATE_UNAVAILABLE", 1.0)

Call = Callable[[Any], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "infer": lambda stub: stub.ModelInfer(pb.ModelInferRequest(model_name="m")),
    "infer by alias": lambda stub: stub.ModelInfer(pb.ModelInferRequest(model_name="m@a")),
    "ready": lambda stub: stub.ModelReady(pb.ModelReadyRequest(name="m")),
    "metadata": lambda stub: stub.ModelMetadata(pb.ModelMetadataRequest(name="m")),
    "config": lambda stub: stub.ModelConfig(pb.ModelConfigRequest(name="m")),
    "statistics": lambda stub: stub.ModelStatistics(pb.ModelStatisticsRequest(name="m")),
    "index": lambda stub: stub.RepositoryIndex(pb.RepositoryIndexRequest()),
    "load": lambda stub: stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="m")),
    "unload": lambda stub: stub.RepositoryModelUnload(
        pb.RepositoryModelUnloadRequest(model_name="m")
    ),
    "trace": lambda stub: stub.TraceSetting(pb.TraceSettingRequest(model_name="m")),
}
PATHS = (
    ("POST", "models/m/infer"),
    ("POST", "models/m/versions/1/infer"),
    ("GET", "models/m"),
    ("GET", "models/m/ready"),
    ("GET", "models/m/config"),
    ("GET", "models/m/stats"),
    ("POST", "repository/index"),
    ("POST", "repository/models/m/load"),
)


@asynccontextmanager
async def replica(folder: Path, redis_url: str, front: Any, **more: Any) -> AsyncIterator[Any]:
    """A replica on free ports that no registry knows of: its fronts, and a stub."""
    settings = {"front": front, "join_seconds": 0.0, "model_control": "explicit", **more}
    async with (
        running_replica(redis_url, folder, **settings) as opened,
        grpc.aio.insecure_channel(opened.fronts.grpc_address) as channel,
    ):
        yield opened, pb_grpc.GRPCInferenceServiceStub(channel)


async def refusal(call: Awaitable[Any]) -> tuple[grpc.StatusCode, str, float | None]:
    """The status, the reason and the delay before a retry that a call is refused with."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        known = status.error_from_rpc(error)
        return error.code(), known.reason, known.retry_after_seconds
    return grpc.StatusCode.OK, "", None


@pytest.mark.parametrize("front", FRONTS)
async def test_every_rpc_about_a_name_is_unavailable(tmp_path: Path, front: str) -> None:
    """With the delay before a retry in its trailers."""
    async with replica(tmp_path, f"unix://{tmp_path}/nobody.sock", front) as (_, stub):
        refused = {name: await refusal(call(stub)) for name, call in CALLS.items()}
    assert dict.fromkeys(CALLS, UNAVAILABLE) == refused


@pytest.mark.parametrize("front", FRONTS)
async def test_the_answer_names_the_server_that_cannot_be_reached(
    tmp_path: Path, front: str
) -> None:
    """As soon as that was seen."""
    url = f"unix://{tmp_path}/nobody.sock"
    async with replica(tmp_path, url, front) as (opened, stub):
        await eventually(lambda: opened.follower.problem is not None)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await CALLS["infer"](stub)
    assert f"the shared state at {url} cannot be reached" in str(caught.value.details())


@pytest.mark.parametrize("front", FRONTS)
async def test_a_stream_says_so_in_the_place_of_the_request(tmp_path: Path, front: str) -> None:
    """The stream goes on."""
    requests = [pb.ModelInferRequest(model_name="m", id=text) for text in ("1", "2")]
    async with replica(tmp_path, f"unix://{tmp_path}/nobody.sock", front) as (_, stub):
        answers = [answer.error_message async for answer in stub.ModelStreamInfer(iter(requests))]
    assert 2 == len(answers)
    assert all("has not read the shared state yet" in answer for answer in answers)


async def test_rest_answers_503(tmp_path: Path) -> None:
    """With Retry-After."""
    found = {}
    async with (
        replica(tmp_path, f"unix://{tmp_path}/nobody.sock", "grpcio") as (opened, _),
        aiohttp.ClientSession(f"http://{opened.fronts.http_address}") as http,
    ):
        for method, path in PATHS:
            json = BODY if path.endswith("infer") else None
            async with http.request(method, f"/v2/{path}", json=json) as answer:
                found[path] = (answer.status, answer.headers.get("Retry-After"))
    assert {path: (503, "1") for _, path in PATHS} == found


@pytest.mark.parametrize("front", FRONTS)
async def test_once_the_state_was_read_a_name_that_is_not_there_is_not_found(
    redis_url: str, namespace: str, tmp_path: Path, front: str
) -> None:
    """An empty state is known, too."""
    async with (
        open_redis(redis_url) as redis,
        replica(tmp_path, redis_url, front, namespace=namespace) as (opened, stub),
    ):
        await redis.set(Keys(namespace).epoch, "one")
        async with asyncio.timeout(10):
            await anext(opened.follower.updates())
            while not (await stub.ServerReady(pb.ServerReadyRequest())).ready:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        code, reason, _ = await refusal(CALLS["infer"](stub))
    assert (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND") == (code, reason)
