"""The client against the real registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from headrace import errors
from headrace.client import AsyncClient, ChangedResource, Client, Route, Version
from headrace.datatypes import Datatype
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace.state.presence import announce
from headrace.state.records import LoadState, ReplicaRecord, ReplicaVersion
from headrace.state.route_records import Canary
from headrace_registry.app import open_registry
from tests.rpc.client_fixtures import settings_for
from tests.rpc.registry_fixtures import external_data_files, onnx_file, settings


@asynccontextmanager
async def open_suite(redis_url: str, namespace: str, data: Path) -> AsyncIterator[AsyncClient]:
    """A client of a registry of its own, while inside."""
    chosen = settings(redis_url, namespace, data)
    async with open_registry(chosen, asyncio.Event()) as registry:
        port = int(registry.grpc_address.rpartition(":")[2])
        async with AsyncClient(settings=settings_for(port, timeout_seconds=20.0)) as client:
            yield client


async def push_versions(client: AsyncClient, count: int) -> list[Version]:
    """So many versions of `scale`."""
    return [await client.push("scale", onnx_file(bias)) for bias in range(count)]


async def test_a_version_from_push_to_delete(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A pushed version is listed with its signature, named by an alias, and gone when deleted."""
    async with open_suite(redis_url, namespace, tmp_path) as client:
        first, second = await push_versions(client, 2)
        listed = await client.versions("scale")
        alias = await client.alias("scale", "champion", 2)
        copy = await client.alias("scale", "fallback", "champion")
        with pytest.raises(errors.FailedPrecondition):
            await client.delete_version("scale", 2)
        for name in ("champion", "fallback"):
            await client.delete_alias("scale", name)
        await client.delete_version("scale", 2)
        (model,) = await client.models()

    (x,) = first.signature.inputs
    assert [second, first] == listed
    assert (1, 2) == (first.number, second.number)
    assert ("x", Datatype.FP32, (-1, 4)) == (x.name, x.datatype, x.shape)
    assert (2, 2) == (alias.version, copy.version)
    assert ("scale", 2) == (model.name, model.last_version)


async def test_aliases_move_in_one_change(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """All of them at one revision, also by another alias; where one is refused, none moves."""
    async with open_suite(redis_url, namespace, tmp_path) as client:
        await push_versions(client, 2)
        await client.set_aliases("scale", {"champion": 1, "fallback": 1})
        before = await client.revision()
        moved = await client.set_aliases("scale", {"champion": 2, "fallback": "champion"})
        with pytest.raises(errors.NotFound) as raised:
            await client.set_aliases("scale", {"champion": 1, "new": 9})
        with pytest.raises(errors.InvalidArgument) as nothing:
            await client.set_aliases("scale", {})
        aliases = await client.aliases("scale")
        async with asyncio.timeout(10):
            change = await anext(client.watch(before, "scale"))
        after = await client.revision()
    assert [("champion", 2), ("fallback", 1)] == [(each.name, each.version) for each in moved]
    assert moved == aliases
    assert (before + 1, before + 1) == (change.revision, after)
    assert ("alias.update", moved[0]) == (change.kind, change.after)
    other = ChangedResource("alias.update", "models/scale/aliases/fallback", moved[1])
    assert (other,) == change.further
    assert "VERSION_NOT_FOUND" == raised.value.reason
    assert "ALIASES_INVALID" == nothing.value.reason


async def test_a_model_is_changed_where_something_is_given(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What an update names is changed, the rest stays, and nothing named changes nothing."""
    async with open_suite(redis_url, namespace, tmp_path) as client:
        created = await client.create_model("net", description="a net", labels={"team": "vision"})
        updated = await client.update_model("net", keep_latest=3, etag=created.etag)
        same = await client.update_model("net")
        with pytest.raises(errors.Aborted) as raised:
            await client.update_model("net", description="", etag=created.etag)

    assert ("a net", {"team": "vision"}, 3) == (
        updated.description,
        updated.labels,
        updated.keep_latest,
    )
    assert updated == same
    assert raised.value.reason == "ETAG_MISMATCH"


async def test_a_graph_with_external_data_is_pushed_with_it(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Pushing the .onnx alone sends the weights that lie beside it."""
    for name, content in external_data_files().items():
        (tmp_path / name).write_bytes(content)
    async with open_suite(redis_url, namespace, tmp_path / "data") as client:
        version = await client.push("scale", tmp_path / "model.onnx")

    assert {"model.onnx", "weights.bin"} == {file.path for file in version.files}


async def test_the_same_request_id_makes_one_version(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A push that is repeated answers with the version that the first made."""
    content = onnx_file()
    request_id = "7c1c9d5e-8b0b-4a0e-9a1e-2d5a3f1b6c11"
    async with open_suite(redis_url, namespace, tmp_path) as client:
        first = await client.push("scale", content, request_id=request_id)
        second = await client.push("scale", content, request_id=request_id)

    assert first == second


async def test_a_route_moves_forward_and_back(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A trial, a promotion and a rollback each are one change that shows in the route."""
    async with open_suite(redis_url, namespace, tmp_path) as client:
        await push_versions(client, 2)
        await client.alias("scale", "next", 2)
        routes = [
            await client.route("scale"),
            await client.set_route("scale", 1, "next", 10.0),
            await client.set_route("scale", "next"),
            await client.rollback("scale"),
        ]
        with pytest.raises(errors.Aborted):
            await client.set_route("scale", 2, etag=routes[0].etag)

    expected = [
        (1, None, None),
        (1, Canary(2, 10.0), None),
        (2, None, 1),
        (1, None, 2),
    ]
    assert expected == [(route.stable, route.canary, route.previous) for route in routes]


async def test_a_watch_shows_who_did_what(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Changes come with their kind, their actor and the resource after them."""
    async with open_suite(redis_url, namespace, tmp_path) as client:
        start = await client.revision()
        await push_versions(client, 2)
        await client.set_route("scale", 2)
        changes = []
        async for change in client.watch(start, "scale"):
            changes.append(change)
            if change.kind == "route.update":
                break

    kinds = [change.kind for change in changes]
    after = changes[-1].after
    assert ["version.push", "route.update"] == kinds[-2:]
    assert {"tester@bench"} == {change.actor for change in changes}
    assert isinstance(after, Route)
    assert after.stable == 2


def replica(state: LoadState, revision: int, reason: str = "") -> ReplicaRecord:
    """What a replica says that has scale/1 in a state."""
    version = ReplicaVersion("scale", 1, state, reason)
    return ReplicaRecord(
        "r1", "h:1", "h:2", "h:3", 7, 0.0, applied_revision=revision, versions=(version,)
    )


async def test_waiting_ends_when_the_replica_serves(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A version is ready once the replica, which was loading it, says so."""
    async with open_suite(redis_url, namespace, tmp_path) as client, open_redis(redis_url) as redis:
        await push_versions(client, 1)
        revision, keys = await client.revision(), Keys(namespace)
        await announce(redis, keys, replica(LoadState.LOADING, revision))
        with pytest.raises(errors.DeadlineExceeded, match="r1: LOADING"):
            await client.wait_until_ready("scale", 1, timeout_seconds=0.3)
        waiting = asyncio.ensure_future(client.wait_until_ready("scale", 1))
        await announce(redis, keys, replica(LoadState.READY, revision))
        await waiting
        (found,) = await client.replicas()

    assert found == replica(LoadState.READY, revision)


async def test_waiting_ends_when_the_replica_gives_up(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A version that cannot be loaded is an error with the replica's reason."""
    async with open_suite(redis_url, namespace, tmp_path) as client, open_redis(redis_url) as redis:
        await push_versions(client, 1)
        said = replica(LoadState.UNAVAILABLE, await client.revision(), "out of memory")
        await announce(redis, Keys(namespace), said)
        with pytest.raises(errors.FailedPrecondition, match="r1: out of memory"):
            await client.wait_until_ready("scale", 1)


async def test_the_client_without_a_loop_pushes_and_watches(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """From a plain thread: push, route, watch."""

    def use(registry: str) -> list[str]:
        with Client(registry=registry, actor="thread") as client:
            client.push("scale", onnx_file())
            client.set_route("scale", 1)
            with closing(client.watch(0, "scale")) as changes:
                return [next(changes).kind for _ in range(2)]

    async with open_suite(redis_url, namespace, tmp_path) as client:
        address = client._calls.settings.registry
        kinds = await asyncio.to_thread(use, address)

    assert "version.push" in kinds
