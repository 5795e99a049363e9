"""A real registry whose catalogue grows."""

from __future__ import annotations

import json
from pathlib import Path

from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from tests.rpc.registry_fixtures import error_of, onnx_file, push, running_registry


async def test_limits_of_the_catalogue_are_settings(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What is over a limit is refused with its setting; a version, before its bytes were sent."""
    limits = {"max_models": 2, "max_versions_per_model": 1, "max_aliases_per_model": 1}
    async with running_registry(redis_url, namespace, tmp_path, **limits) as running:
        stub = running.stub
        await push(running, onnx_file())
        await stub.CreateModel(pb.CreateModelRequest(model={"name": "models/other"}))
        model = pb.CreateModelRequest(model={"name": "models/third"})
        aliases = [
            pb.UpdateAliasRequest(
                alias={"name": f"models/digits/aliases/{name}", "version": 1}, allow_missing=True
            )
            for name in ("first", "second")
        ]
        await stub.UpdateAlias(aliases[0])
        too_large_a_file = {"size_bytes": 1 << 30}
        refused = [
            await error_of(stub.CreateModel(model)),
            await error_of(push(running, b"", header=too_large_a_file)),
            await error_of(stub.UpdateAlias(aliases[1])),
        ]
        await stub.UpdateAlias(aliases[0])
    assert ["TOO_MANY_MODELS", "TOO_MANY_VERSIONS", "TOO_MANY_ALIASES"] == [
        error.reason for error in refused
    ]
    assert list(limits) == [error.facts["setting"] for error in refused]


async def test_records_are_stored_without_defaults(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Most of a config is as it is by default, and every version would store it."""
    async with (
        running_registry(redis_url, namespace, tmp_path) as running,
        open_redis(redis_url) as redis,
    ):
        await push(running, onnx_file())
        stored = await redis.hget(Keys(namespace).versions, "digits/1")
    config = json.loads(stored or b"")["config"]
    assert "batching" in config
    assert not {"queue", "session", "priorities", "warm_up", "shapes"} & config.keys()
