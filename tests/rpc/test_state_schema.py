"""A state that a newer registry wrote: its fields outlive this one, and a newer schema is read alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headrace import errors
from headrace.registry.v1 import alias_pb2, model_pb2, route_pb2
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.state.connection import Redis, open_redis
from headrace.state.keys import Keys
from headrace.state.records import ModelRecord
from headrace.state.schema import SCHEMA
from headrace.state.unknown_fields import unknown_fields
from headrace_registry.adapters.shared_state.change_log import RedisChangeLog
from headrace_registry.adapters.shared_state.epochs import RedisEpochs
from headrace_registry.domain.decisions.decision import Decision
from tests.rpc.registry_fixtures import error_of, eventually, onnx_file, push, running_registry
from tests.rpc.test_inference_readiness import replica

FUTURE = {"deep": [1, {"x": None}]}


async def _record(redis: Redis, key: str, field: str) -> Any:
    found: Any = await redis.hget(key, field)
    return json.loads(found)


async def _to_the_future(redis: Redis, keys: Keys) -> None:
    """Leave a field more, at every depth, in the records of digits, as a newer registry would."""
    model = await _record(redis, keys.models, "digits")
    version = await _record(redis, keys.versions, "digits/1")
    signature = version["signature"]
    for inner in (model, model["route"], model["aliases"]["prod"], version, version["config"]):
        inner["future"] = FUTURE
    for inner in (signature, signature["inputs"][0]):
        inner["future"] = FUTURE
    await redis.hset(keys.models, "digits", json.dumps(model))
    await redis.hset(keys.versions, "digits/1", json.dumps(version))


async def _edit(stub: Any) -> None:
    """Change everything of the model that this code knows how to change."""
    model = model_pb2.Model(name="models/digits", description="edited")
    await stub.UpdateModel(
        pb.UpdateModelRequest(model=model, update_mask={"paths": ["description"]})
    )
    alias = alias_pb2.Alias(name="models/digits/aliases/prod", version=2)
    await stub.UpdateAlias(pb.UpdateAliasRequest(alias=alias, allow_unready=True))
    route = route_pb2.Route(name="models/digits/route", stable_version=2)
    await stub.UpdateRoute(pb.UpdateRouteRequest(route=route, allow_unready=True))


async def test_fields_of_a_newer_registry_outlive_an_older_one(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The older registry edits the model, moves its alias and its route; replicas follow; all is there."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis:
        async with running_registry(redis_url, namespace, tmp_path / "registry") as running:
            await push(running, onnx_file(), header={"alias": "prod"})
            await push(running, onnx_file(bias=2))
        await _to_the_future(redis, keys)
        async with (
            running_registry(redis_url, namespace, tmp_path / "registry") as running,
            replica(redis_url, namespace, tmp_path / "replica") as serving,
        ):
            await _edit(running.stub)
            await serving.follower.wait_for_revision(5)
            followed = serving.follower.catalog.models["digits"]
            version = serving.follower.catalog.versions["digits", 1]
        model = await _record(redis, keys.models, "digits")
        stored = await _record(redis, keys.versions, "digits/1")
    assert ("edited", 2, 2) == (
        model["description"],
        model["aliases"]["prod"]["version"],
        model["route"]["stable"],
    )
    for inner in (model, model["aliases"]["prod"], model["route"], stored["signature"]):
        assert FUTURE == inner["future"]
    for record in (followed, followed.route, followed.aliases["prod"], version, version.config):
        assert {"future": FUTURE} == unknown_fields(record)


async def test_a_state_without_a_schema_gets_one_with_the_first_write(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Starting writes nothing; a change does, in the same script."""
    keys = Keys(namespace)
    async with (
        open_redis(redis_url) as redis,
        running_registry(redis_url, namespace, tmp_path) as running,
    ):
        assert await redis.get(keys.schema) is None
        await running.stub.CreateModel(pb.CreateModelRequest(model={"name": "models/m"}))
        assert str(SCHEMA).encode() == await redis.get(keys.schema)


async def test_a_newer_schema_is_read_and_never_written(
    redis_url: str, namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every write is refused before its bytes are sent, reads and replicas go on, readiness says why."""
    keys = Keys(namespace)
    async with (
        open_redis(redis_url) as redis,
        running_registry(redis_url, namespace, tmp_path / "registry") as running,
        replica(redis_url, namespace, tmp_path / "replica") as serving,
    ):
        await push(running, onnx_file())
        await redis.set(keys.schema, SCHEMA + 1)
        before = await redis.get(keys.revision)
        created = await error_of(
            running.stub.CreateModel(pb.CreateModelRequest(model={"name": "models/m"}))
        )
        pushed = await error_of(push(running, onnx_file(bias=2)))
        listed = await running.stub.ListModels(pb.ListModelsRequest())
        await eventually(lambda: serving.follower.schema == SCHEMA + 1)
        status, facts = await _readiness(running.http_address)
        assert {"STATE_SCHEMA_NEWER"} == {created.reason, pushed.reason}
        assert f"schema {SCHEMA + 1}" in created.message
        assert "upgrade this registry" in created.message
        assert before == await redis.get(keys.revision)
        assert 1 == len(listed.models)
        assert serving.follower.connected
    assert 503 == status
    assert SCHEMA + 1 == facts["state_schema"]
    assert "upgrade this registry" in facts["state_read_only"]
    assert any("as far as it is known here" in record.message for record in caplog.records)


async def test_the_script_itself_refuses_a_newer_schema(redis_url: str, namespace: str) -> None:
    """A newer registry may write between the last look at the schema and the change."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis:
        log = RedisChangeLog(redis, keys)
        await log.begin()
        point = await log.newest()
        await redis.set(keys.schema, SCHEMA + 1)
        decision = Decision(
            1, "model.create", "models/m", "ada", 1.0, {"models": {"m": ModelRecord("m", 1.0)}}
        )
        with pytest.raises(errors.FailedPrecondition) as caught:
            await log.commit(decision, None, point)
        assert "STATE_SCHEMA_NEWER" == caught.value.reason
        assert 0 == await redis.exists(keys.revision, keys.models, keys.changes, keys.counts)
        assert await RedisEpochs(redis, keys, lambda: 1.0).begin(point, 12, {"m": 3}) is None
        assert 0 == await redis.exists(keys.revision, keys.numbers, keys.changes, keys.epoch_start)


async def _readiness(address: str) -> tuple[int, dict[str, Any]]:
    """The registry's, once it has seen the state's schema: it looks every second."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://{address}/readyz") as response:
                facts = await response.json()
                if "state_schema" in facts:
                    return response.status, facts
