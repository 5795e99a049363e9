"""Models, versions, aliases and routes of a real registry."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf import field_mask_pb2

from headrace import errors, status
from headrace.registry.v1 import model_pb2, replica_pb2
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.state import presence
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace.state.records import LoadState, ReplicaRecord, ReplicaVersion
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    error_of,
    onnx_file,
    push,
    read_blob,
    running_registry,
)

MODEL = "models/digits"
ROUTE = "models/digits/route"
READY, UNAVAILABLE = replica_pb2.VERSION_STATE_READY, replica_pb2.VERSION_STATE_UNAVAILABLE
SERVICE = "/headrace.registry.v1.RegistryService"


async def _push(running: RunningRegistry, count: int) -> None:
    for number in range(count):
        await push(running, onnx_file(bias=number))


async def _route(running: RunningRegistry, **route: Any) -> Any:
    return await running.stub.UpdateRoute(pb.UpdateRouteRequest(route={"name": ROUTE} | route))


async def _alias(running: RunningRegistry, version: int, etag: str = "") -> Any:
    alias = {"name": f"{MODEL}/aliases/champion", "version": version, "etag": etag}
    return await running.stub.UpdateAlias(pb.UpdateAliasRequest(alias=alias, allow_missing=True))


async def _create(running: RunningRegistry, name: str, **fields: Any) -> model_pb2.Model:
    request_id = fields.pop("request_id", "")
    model = {"name": f"models/{name}"} | fields
    request = pb.CreateModelRequest(model=model, request_id=request_id)
    created: model_pb2.Model = await running.stub.CreateModel(request)
    return created


async def test_a_model_is_created_changed_and_deleted(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A mask changes what it names and nothing else; each change has its etag; deleted is gone."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        created = await _create(running, "digits", description="d", labels={"team": "x"})
        changed = await running.stub.UpdateModel(
            pb.UpdateModelRequest(
                model={"name": MODEL, "keep_latest": 3, "description": "ignored"},
                update_mask=field_mask_pb2.FieldMask(paths=["keep_latest"]),
            )
        )
        read = await running.stub.GetModel(pb.GetModelRequest(name=MODEL))
        await running.stub.DeleteModel(pb.DeleteModelRequest(name=MODEL, etag=read.etag))
        gone = await error_of(running.stub.GetModel(pb.GetModelRequest(name=MODEL)))
    assert changed == read
    assert ("d", {"team": "x"}, 3) == (read.description, dict(read.labels), read.keep_latest)
    assert created.etag != changed.etag
    assert "MODEL_NOT_FOUND" == gone.reason


async def test_a_repeated_create_answers_as_the_first_did(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """With the same request_id a create can be repeated; without, the name is taken."""
    request_id = str(uuid4())
    async with running_registry(redis_url, namespace, tmp_path) as running:
        first = await _create(running, "digits", request_id=request_id)
        second = await _create(running, "digits", request_id=request_id)
        taken = await error_of(_create(running, "digits"))
        other = await error_of(_create(running, "letters", request_id=request_id))
    assert first == second
    assert isinstance(taken, errors.AlreadyExists)
    assert "REQUEST_ID_REUSED" == other.reason


async def test_lists_come_in_pages(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Following the tokens gives every model once, in order; tokens of other lists are refused."""
    names = [f"model-{number}" for number in range(5)]
    async with running_registry(redis_url, namespace, tmp_path) as running:
        for name in reversed(names):
            await _create(running, name)
        found, token, last, pages = [], "", "", 0
        while pages == 0 or token:
            request = pb.ListModelsRequest(page_size=2, page_token=token)
            page = await running.stub.ListModels(request)
            found += [model.name for model in page.models]
            token, pages = page.next_page_token, pages + 1
            last = token or last
        nonsense = await error_of(
            running.stub.ListModels(pb.ListModelsRequest(page_token="nonsense"))
        )
        foreign = await error_of(running.stub.ListReplicas(pb.ListReplicasRequest(page_token=last)))
    assert [f"models/{name}" for name in names] == found
    assert 3 == pages
    assert ["PAGE_TOKEN_INVALID"] * 2 == [nonsense.reason, foreign.reason]


async def test_versions_are_listed_newest_first(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The newest version leads, page after page."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await _push(running, 3)
        first = await running.stub.ListVersions(pb.ListVersionsRequest(parent=MODEL, page_size=2))
        second = await running.stub.ListVersions(
            pb.ListVersionsRequest(parent=MODEL, page_token=first.next_page_token)
        )
    assert [3, 2] == [version.number for version in first.versions]
    assert [1] == [version.number for version in second.versions]


async def test_a_route_changes_in_one_step(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Stable and canary move together, the former stable is the way back, a stale etag is refused."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await _push(running, 3)
        trial = await _route(
            running, stable_version=1, canary={"version": 2, "weight_percent": 12.5}
        )
        moved = await _route(running, stable_version=2, etag=trial.etag)
        stale = await error_of(_route(running, stable_version=3, etag=trial.etag))
        back = await _route(running, stable_version=moved.previous_version)
        read = await running.stub.GetRoute(pb.GetRouteRequest(name=ROUTE))
    assert (1, 2, 12.5, 0) == (
        trial.stable_version,
        trial.canary.version,
        trial.canary.weight_percent,
        trial.previous_version,
    )
    assert (2, False, 1) == (
        moved.stable_version,
        moved.HasField("canary"),
        moved.previous_version,
    )
    assert isinstance(stale, errors.Aborted)
    assert {"resource": ROUTE, "present": moved.etag, "given": trial.etag} == stale.facts
    assert (1, 2) == (back.stable_version, back.previous_version)
    assert back == read


async def test_later_pushes_do_not_move_the_route(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The first version is stable until somebody says otherwise; the etag stays, too."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await _push(running, 1)
        before = await running.stub.GetRoute(pb.GetRouteRequest(name=ROUTE))
        await _push(running, 2)
        after = await running.stub.GetRoute(pb.GetRouteRequest(name=ROUTE))
    assert before == after


async def test_of_two_changes_with_one_etag_one_wins(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Whoever has seen the same etag may change once: over two registries, every other is told so."""
    async with (
        running_registry(redis_url, namespace, tmp_path / "one") as one,
        running_registry(redis_url, namespace, tmp_path / "two") as two,
    ):
        await _push(one, 2)
        alias = await _alias(one, 1)
        answers = await asyncio.gather(
            *(_alias((one, two)[n % 2], 2, alias.etag) for n in range(8)), return_exceptions=True
        )
    lost = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert 1 == len(answers) - len(lost)
    assert {"ETAG_MISMATCH"} == {status.error_from_rpc(answer).reason for answer in lost}


async def test_aliases_are_made_moved_listed_and_deleted(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """An alias comes with allow_missing, moves, and goes; without, it must be there."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await _push(running, 2)
        missing = await error_of(
            running.stub.UpdateAlias(
                pb.UpdateAliasRequest(alias={"name": f"{MODEL}/aliases/none", "version": 1})
            )
        )
        made = await _alias(running, 1)
        moved = await _alias(running, 2, made.etag)
        listed = await running.stub.ListAliases(pb.ListAliasesRequest(parent=MODEL))
        await running.stub.DeleteAlias(pb.DeleteAliasRequest(name=moved.name, etag=moved.etag))
        gone = await error_of(running.stub.GetAlias(pb.GetAliasRequest(name=moved.name)))
    assert [moved] == list(listed.aliases)
    assert ["ALIAS_NOT_FOUND"] * 2 == [missing.reason, gone.reason]


async def test_a_version_that_is_named_stays(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A delete names every reference; without one it takes the blobs that no other version has."""
    shared = onnx_file(bias=0)
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await _push(running, 2)
        again = await push(running, shared)  # the bytes of version 1 once more
        await _alias(running, 1)
        first, second = f"{MODEL}/versions/1", f"{MODEL}/versions/2"
        only = (await running.stub.GetVersion(pb.GetVersionRequest(name=second))).files[0].sha256
        used = await error_of(running.stub.DeleteVersion(pb.DeleteVersionRequest(name=first)))
        await running.stub.DeleteVersion(pb.DeleteVersionRequest(name=second))
        await running.stub.DeleteAlias(pb.DeleteAliasRequest(name=f"{MODEL}/aliases/champion"))
        await _route(running, stable_version=3)
        await running.stub.DeleteVersion(pb.DeleteVersionRequest(name=first))
        route = await running.stub.GetRoute(pb.GetRouteRequest(name=ROUTE))
        kept = await read_blob(running, again.files[0].sha256)
        assert only not in running.stored_files()
    assert isinstance(used, errors.FailedPrecondition)
    assert "the route (stable), alias 'champion'" == used.facts["named_by"]
    assert shared == kept
    assert (3, 0) == (route.stable_version, route.previous_version)


async def test_numbers_are_never_used_again(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """A model that is deleted by force and pushed again goes on counting, with nothing left on disk."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await _push(running, 2)
        kept = await error_of(running.stub.DeleteModel(pb.DeleteModelRequest(name=MODEL)))
        await running.stub.DeleteModel(pb.DeleteModelRequest(name=MODEL, force=True))
        assert set() == running.stored_files()
        version = await push(running, onnx_file())
        route = await running.stub.GetRoute(pb.GetRouteRequest(name=ROUTE))
    assert "MODEL_HAS_VERSIONS" == kept.reason
    assert 3 == version.number
    assert 3 == route.stable_version


async def test_a_protected_model_goes_only_after_its_protection(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Force does not pass it, nor does an update without a mask take it away; its versions can go."""
    whole = {"name": MODEL, "description": "from a caller that knows no protection"}
    async with running_registry(redis_url, namespace, tmp_path, protect_models=True) as running:
        await _push(running, 2)
        removal = pb.DeleteModelRequest(name=MODEL, force=True)
        kept = await error_of(running.stub.DeleteModel(removal))
        updated = await running.stub.UpdateModel(pb.UpdateModelRequest(model=whole))
        await running.stub.DeleteVersion(pb.DeleteVersionRequest(name=f"{MODEL}/versions/2"))
        served = await running.stub.GetRoute(pb.GetRouteRequest(name=ROUTE))
        unprotect = pb.UpdateModelRequest(
            model={"name": MODEL}, update_mask={"paths": ["protected"]}
        )
        changed = await running.stub.UpdateModel(unprotect)
        await running.stub.DeleteModel(removal)
        gone = await error_of(running.stub.GetModel(pb.GetModelRequest(name=MODEL)))
    assert ("MODEL_PROTECTED", "MODEL_NOT_FOUND") == (kept.reason, gone.reason)
    assert (True, False) == (updated.protected, changed.protected)
    assert 1 == served.stable_version


async def test_blobs_are_read_from_an_offset(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Any offset up to the end is served; past it, unknown, and damaged blobs have their own errors."""
    artifact = onnx_file()
    async with running_registry(redis_url, namespace, tmp_path) as running:
        digest = (await push(running, artifact)).files[0].sha256
        rest = await read_blob(running, digest, 10)
        nothing = await read_blob(running, digest, len(artifact))
        past = await error_of(read_blob(running, digest, len(artifact) + 1))
        unknown = await error_of(read_blob(running, "0" * 64))
        (tmp_path / "blobs" / digest[:2] / digest).write_bytes(artifact[:-1] + b"!")
        damaged = await error_of(read_blob(running, digest, 10))
        await push(running, artifact)
        healed = await read_blob(running, digest)
    assert artifact[10:] == rest
    assert b"" == nothing
    assert [errors.OutOfRange, errors.NotFound, errors.DataLoss] == [
        type(error) for error in (past, unknown, damaged)
    ]
    assert artifact == healed


async def test_replicas_are_listed_as_they_describe_themselves(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What a replica keeps in the shared state is what ListReplicas tells."""
    held = ReplicaVersion("digits", 1, LoadState.UNAVAILABLE, "no memory", 5, "cpu")
    record = ReplicaRecord("r1", "h:1", "h:2", "h:3", 7, 1.5, 9, {"zone": "a"}, ("cpu",), (held,))
    async with (
        open_redis(redis_url) as redis,
        running_registry(redis_url, namespace, tmp_path) as running,
    ):
        await presence.announce(redis, Keys(namespace), record)
        (replica,) = (await running.stub.ListReplicas(pb.ListReplicasRequest())).replicas
    assert ("replicas/r1", "h:1", 9) == (
        replica.name,
        replica.grpc_address,
        replica.applied_revision,
    )
    assert ("models/digits/versions/1", 4, "no memory") == (
        replica.versions[0].version,
        replica.versions[0].state,
        replica.versions[0].reason,
    )


async def test_a_replica_that_loads_on_request_serves_what_is_wanted(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What a name leads to is ready there, loaded or not, once the replica knows it; what failed is not."""
    failed = ReplicaVersion("digits", 3, LoadState.UNAVAILABLE, "no memory")
    record = ReplicaRecord("r1", "h:1", "h:2", "h:3", 7, 1.5, 9, loads_on_request=True)
    async with (
        open_redis(redis_url) as redis,
        running_registry(redis_url, namespace, tmp_path) as running,
    ):
        for _ in range(3):
            await push(running, onnx_file())
        for revision in (1, 9):
            told = replace(record, applied_revision=revision, versions=(failed,))
            await presence.announce(redis, Keys(namespace), told)
            request = pb.ListReplicasRequest(model=MODEL)
            (replica,) = (await running.stub.ListReplicas(request)).replicas
            shown = {one.version.rpartition("/")[2]: one.state for one in replica.versions}
            assert {"3": UNAVAILABLE, "1": READY} == shown
        (all_models,) = (await running.stub.ListReplicas(pb.ListReplicasRequest())).replicas
    assert all_models.loads_on_request
    assert ["models/digits/versions/3"] == [one.version for one in all_models.versions]


@pytest.mark.parametrize("method", ["CreateModel", "PushVersion", "WatchChanges"])
async def test_bytes_that_are_no_request_are_refused(
    redis_url: str, namespace: str, tmp_path: Path, method: str
) -> None:
    """Malformed bytes are the caller's INVALID_ARGUMENT on every kind of method."""
    path, garbage = f"{SERVICE}/{method}", b"\xff\xff\xff"
    async with running_registry(redis_url, namespace, tmp_path) as running:
        call: Any = {
            "CreateModel": lambda: running.channel.unary_unary(path)(garbage),
            "PushVersion": lambda: running.channel.stream_unary(path)(iter([garbage])),
            "WatchChanges": lambda: running.channel.unary_stream(path)(garbage).read(),
        }[method]()
        error = await error_of(call)
    assert isinstance(error, errors.InvalidArgument)
    assert "MALFORMED_REQUEST" == error.reason


ALIAS = {"alias": {"name": "models/digits/aliases/a", "version": 1}}
INVALID: list[tuple[str, str, dict[str, Any]]] = [
    ("RESOURCE_NAME_INVALID", "GetModel", {"name": "digits"}),
    ("MODEL_NAME_INVALID", "GetModel", {"name": "models/-x"}),
    ("RESOURCE_NAME_INVALID", "GetVersion", {"name": "models/digits/versions"}),
    ("VERSION_NUMBER_INVALID", "GetVersion", {"name": "models/digits/versions/01"}),
    ("VERSION_NUMBER_INVALID", "GetVersion", {"name": f"models/digits/versions/{2**63}"}),
    ("ALIAS_NAME_INVALID", "GetAlias", {"name": "models/digits/aliases/1"}),
    ("ETAG_INVALID", "DeleteVersion", {"name": "models/digits/versions/1", "etag": "x"}),
    ("PAGE_SIZE_INVALID", "ListModels", {"page_size": -1}),
    ("DIGEST_INVALID", "ReadBlob", {"sha256": "x"}),
    ("POSITION_INVALID", "WatchChanges", {"start_revision": -1}),
    ("REVISION_UNKNOWN", "WatchChanges", {"start_revision": 99}),
    ("MODEL_INVALID", "CreateModel", {"model": {"name": "models/m", "keep_latest": 101}}),
    ("UPDATE_MASK_INVALID", "UpdateModel", {"update_mask": {"paths": ["etag"]}}),
    ("ALIASES_INVALID", "BatchUpdateAliases", {"parent": MODEL}),
    ("ALIASES_INVALID", "BatchUpdateAliases", {"parent": MODEL, "requests": [ALIAS] * 2}),
    ("ALIASES_INVALID", "BatchUpdateAliases", {"parent": MODEL, "requests": [ALIAS] * 1001}),
    ("ALIASES_INVALID", "BatchUpdateAliases", {"parent": "models/m", "requests": [ALIAS]}),
    ("ROUTE_INVALID", "UpdateRoute", {"route": {"name": ROUTE}}),
    ("VERSION_NOT_FOUND", "UpdateRoute", {"route": {"name": ROUTE, "stable_version": 9}}),
    ("VERSION_NOT_FOUND", "GetVersion", {"name": "models/digits/versions/9"}),
    ("MODEL_NOT_FOUND", "ListVersions", {"parent": "models/none"}),
    ("MODEL_NOT_FOUND", "ListAliases", {"parent": "models/none"}),
    ("MODEL_NOT_FOUND", "GetRoute", {"name": "models/none/route"}),
    ("MODEL_HAS_NO_VERSION", "GetRoute", {"name": "models/empty/route"}),
]


async def test_wrong_requests_are_refused_by_reason(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Each malformed or impossible request is told what is wrong with it."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await _push(running, 1)
        await _create(running, "empty")
        found = [await _refusal(running, method, fields) for _, method, fields in INVALID]
    assert [reason for reason, *_ in INVALID] == found


async def _refusal(running: RunningRegistry, method: str, fields: dict[str, Any]) -> str:
    call = getattr(running.stub, method)(getattr(pb, f"{method}Request")(**fields))
    return (await error_of(call.read() if hasattr(call, "read") else call)).reason
