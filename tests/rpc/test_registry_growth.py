"""A real registry whose catalog grows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.state.codec import decode, encode
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace.state.records import VersionRecord
from tests.rpc.registry_fixtures import error_of, onnx_file, push, running_registry, take_changes


async def test_limits_of_the_catalog_are_settings(
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


async def test_a_change_holds_what_it_moved_and_no_more(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """However much its model has: a watch still tells all of the resource that was changed."""
    keys = Keys(namespace)
    text = "x" * 4000
    async with running_registry(redis_url, namespace, tmp_path) as running:
        stub = running.stub
        await push(running, onnx_file())
        model = {"name": "models/digits", "description": text}
        await stub.UpdateModel(pb.UpdateModelRequest(model=model))
        for name in ("first", "second", "first"):
            alias = {"name": f"models/digits/aliases/{name}", "version": 1}
            await stub.UpdateAlias(pb.UpdateAliasRequest(alias=alias, allow_missing=True))
        await stub.UpdateRoute(
            pb.UpdateRouteRequest(route={"name": "models/digits/route", "stable_version": 1})
        )
        mask = {"paths": ["keep_latest"]}
        update: Any = {"name": "models/digits", "keep_latest": 2}
        await stub.UpdateModel(pb.UpdateModelRequest(model=update, update_mask=mask))
        watch = stub.WatchChanges(pb.WatchChangesRequest())
        changes = await take_changes(watch, 7)
        watch.cancel()
        expected = [
            await stub.GetAlias(pb.GetAliasRequest(name="models/digits/aliases/second")),
            await stub.GetAlias(pb.GetAliasRequest(name="models/digits/aliases/first")),
            await stub.GetRoute(pb.GetRouteRequest(name="models/digits/route")),
            await stub.GetModel(pb.GetModelRequest(name="models/digits")),
        ]
    expected[-1].ClearField("kind")  # a version says it, and changes of a model carry no version
    assert expected == [changes[3].alias, changes[4].alias, changes[5].route, changes[6].model]
    async with open_redis(redis_url) as redis:
        entries: Any = await redis.xrange(keys.changes, min="3-0", max="6-0")
    assert 4 == len(entries)
    assert max(len(fields[b"change"]) for _, fields in entries) < 700


MODEL = {
    "name": "digits",
    "created_at": 1.5,
    "description": "old",
    "labels": {"team": "red"},
    "keep_latest": 1,
    "last_number": 1,
    "aliases": {},
    "route": {"stable": 1, "canary": None, "previous": None, "updated_at": 1.5, "revision": 1},
    "revision": 1,
}
ALIASES = {"champion": {"version": 1, "updated_at": 2.5, "revision": 2}}


async def test_a_state_of_whole_records_is_read_and_gone_on_with(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Registries up to 0.1 wrote the model whole into every change, before and after."""
    keys = Keys(namespace)
    version = json.loads(encode(decode(VersionRecord, VERSION)))
    after = MODEL | {"aliases": ALIASES, "revision": 2}
    entries = [
        _entry(1, "version.push", "models/digits/versions/1", None, MODEL, version),
        _entry(2, "alias.update", "models/digits/aliases/champion", MODEL, after),
    ]
    async with open_redis(redis_url) as redis:
        previous = ""
        for entry in entries:
            text = json.dumps(entry | {"previous_hash": previous})
            previous = hashlib.sha256(text.encode()).hexdigest()
            await redis.xadd(keys.changes, {"change": text}, id=f"{entry['revision']}-0")
        await redis.mset({keys.epoch: "old", keys.revision: 2, keys.change_hash: previous})
        await redis.mset({keys.counts: "2:1:1"})
        await redis.hset(keys.models, "digits", json.dumps(after))
        await redis.hset(keys.versions, "digits/1", json.dumps(version))
    async with running_registry(redis_url, namespace, tmp_path) as running:
        name = "models/digits/aliases/champion"
        found = await running.stub.GetAlias(pb.GetAliasRequest(name=name))
        await running.stub.DeleteAlias(pb.DeleteAliasRequest(name=name))
        watch = running.stub.WatchChanges(pb.WatchChangesRequest())
        changes = await take_changes(watch, 3)
        watch.cancel()
    assert (1, found) == (found.version, changes[1].alias)
    assert ["version.push", "alias.update", "alias.delete"] == [change.kind for change in changes]
    assert "models/digits/versions/1" == changes[0].version.name


VERSION = (
    b'{"model":"digits","number":1,"digest":"d","files":[],"graph_path":"model.onnx",'
    b'"signature":{"inputs":[],"outputs":[]},"config":{},"created_at":1.5,"revision":1}'
)


def _entry(
    revision: int, kind: str, resource: str, before: Any, after: Any, version: Any = None
) -> dict[str, Any]:
    versions = {"digits/1": version} if version else {}
    return {
        "revision": revision,
        "kind": kind,
        "resource": resource,
        "actor": "ada",
        "at": 1.5,
        "models": {"digits": after},
        "versions": versions,
        "models_before": {"digits": before},
        "versions_before": dict.fromkeys(versions),
    }


async def test_a_record_that_cannot_be_read_is_its_versions_own_affair(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Others are listed, pushed and deleted; who asks for it is told what is wrong."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis:
        async with running_registry(redis_url, namespace, tmp_path) as running:
            for model in ("sound", "damaged"):
                for bias in (1, 2):
                    await push(running, onnx_file(bias=bias), model=model)
            await redis.hset(keys.versions, "damaged/2", '{"model": "damaged"}')
        async with running_registry(redis_url, namespace, tmp_path) as running:
            stub = running.stub
            name = "models/damaged/versions/2"
            errors = [
                await error_of(stub.GetVersion(pb.GetVersionRequest(name=name))),
                await error_of(stub.ListVersions(pb.ListVersionsRequest(parent="models/damaged"))),
            ]
            await stub.DeleteVersion(pb.DeleteVersionRequest(name="models/sound/versions/2"))
            await push(running, onnx_file(bias=3), model="damaged")
            listed = await stub.ListVersions(pb.ListVersionsRequest(parent="models/sound"))
            third = await stub.GetVersion(pb.GetVersionRequest(name="models/damaged/versions/3"))
    assert ["STATE_UNREADABLE"] * 2 == [error.reason for error in errors]
    assert ([1], 3) == ([version.number for version in listed.versions], third.number)
