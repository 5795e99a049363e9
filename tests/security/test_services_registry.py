"""A registry with authentication on: who is shown what, and that nothing tells what is hidden."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from headrace import status
from headrace.registry.v1 import access_service_pb2
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1.annotation_service_pb2_grpc import AnnotationServiceStub
from tests.rpc.registry_fixtures import onnx_file
from tests.rpc.test_registry_annotations import CARD, put_messages
from tests.security.registries import SecuredRegistry, bearer, reason_of, secured_registry

MODELS = ("other", "team-a", "team-b")


async def _create(registry: SecuredRegistry, *models: str) -> None:
    """Make models of two teams."""
    for model in models or MODELS:
        request = pb.CreateModelRequest(model={"name": f"models/{model}"})
        await registry.stub.CreateModel(request, metadata=bearer(registry.admin))


async def _push(registry: SecuredRegistry, *models: str) -> dict[str, bytes]:
    """Push a version of these; what was pushed, by model."""
    artifacts = {model: onnx_file(float(bias)) for bias, model in enumerate(models)}
    for model, artifact in artifacts.items():
        assert await registry.push(registry.admin, model, artifact) == f"models/{model}/versions/1"
    return artifacts


async def _names(registry: SecuredRegistry, key: str, page_size: int = 0) -> list[str]:
    names, token = list[str](), ""
    while True:
        request = pb.ListModelsRequest(page_size=page_size, page_token=token)
        page = await registry.stub.ListModels(request, metadata=bearer(key))
        names += [model.name.removeprefix("models/") for model in page.models]
        token = page.next_page_token
        if not token:
            return names


async def _read(registry: SecuredRegistry, key: str, digest: str) -> bytes | str:
    """The bytes of a blob, or the reason why they are not told."""
    call = registry.stub.ReadBlob(pb.ReadBlobRequest(sha256=digest), metadata=bearer(key))
    try:
        return b"".join([message.chunk async for message in call])
    except grpc.RpcError as error:
        return status.error_from_rpc(error).reason


async def test_a_team_sees_its_models_and_nothing_of_others(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Lists, blobs, and what is asked for by name."""
    async with secured_registry(redis_url, namespace, tmp_path) as registry:
        await _create(registry)
        artifacts = await _push(registry, "team-a", "other")
        team = await registry.key("team", ("viewer", "team-*"))
        service = await registry.key("replica", ("service", "*"))
        assert await _names(registry, team) == ["team-a", "team-b"]
        assert await _names(registry, team, page_size=1) == ["team-a", "team-b"]
        assert await _names(registry, await registry.key("newcomer")) == []
        assert await _names(registry, registry.admin) == [*MODELS]
        digests = {model: hashlib.sha256(data).hexdigest() for model, data in artifacts.items()}
        assert await _read(registry, team, digests["team-a"]) == artifacts["team-a"]
        assert await _read(registry, service, digests["other"]) == artifacts["other"]
        assert await _read(registry, team, digests["other"]) == "PERMISSION_DENIED"
        assert await _read(registry, team, "0" * 64) == "PERMISSION_DENIED"
        assert await _read(registry, service, "0" * 64) == "BLOB_NOT_FOUND"
        assert await _read(registry, "", digests["team-a"]) == "CREDENTIALS_MISSING"
        await registry.grant("anonymous", "viewer", "team-a")
        assert await _names(registry, "") == ["team-a"]
        assert await _read(registry, "", digests["team-a"]) == artifacts["team-a"]
        assert await _read(registry, "", digests["other"]) == "CREDENTIALS_MISSING"
        denied = {
            await _told(
                registry.stub.GetModel(pb.GetModelRequest(name=name), metadata=bearer(team))
            )
            for name in ("models/other", "models/unknown")
        }
        (told,) = denied
        assert told.startswith("PERMISSION_DENIED team has not the right 'read' for model X, if ")
        assert told.endswith("an admin can grant it: headrace grant team ROLE --models X")


async def test_attachments_are_read_by_who_may_read_their_model(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Their bytes are blobs; who may read another model alone is not told whether there are such."""
    async with secured_registry(redis_url, namespace, tmp_path) as registry:
        await _create(registry)
        await _push(registry, "team-a", "other")
        team = await registry.key("team", ("viewer", "team-*"))
        stranger = await registry.key("stranger", ("viewer", "other"))
        stub: Any = AnnotationServiceStub(registry.running.channel)
        messages = put_messages(CARD, name="models/team-a/versions/1/annotations")
        assert await reason_of(stub.PutAttachment(iter(messages), metadata=bearer(team))) == (
            "PERMISSION_DENIED"
        )
        put = await stub.PutAttachment(iter(messages), metadata=bearer(registry.admin))
        digest = put.attachments[0].sha256
        assert await _read(registry, team, digest) == CARD
        assert await _read(registry, stranger, digest) == "PERMISSION_DENIED"


async def _told(call: Any) -> str:
    """The reason and the message, without the model's name."""
    try:
        await call
    except grpc.RpcError as error:
        refusal = status.error_from_rpc(error)
        model = refusal.facts["model"]
        message = refusal.message.replace(f"'{model}'", "X").replace(model, "X")
        return f"{refusal.reason} {message}"
    return ""


async def test_rights_are_looked_at_before_anything_else(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A wrong etag, a model that exists, or a version that does not, are told to whoever may know."""
    async with secured_registry(redis_url, namespace, tmp_path) as registry:
        await _create(registry)
        team = await registry.key("team", ("publisher", "team-*"))
        stub = registry.stub

        async def asked(model: str) -> list[str]:
            name = f"models/{model}"
            alias = {"name": f"{name}/aliases/x", "version": 7, "etag": "wrong"}
            requests = (
                (stub.CreateModel, pb.CreateModelRequest(model={"name": name})),
                (stub.UpdateModel, pb.UpdateModelRequest(model={"name": name, "etag": "wrong"})),
                (stub.GetVersion, pb.GetVersionRequest(name=f"{name}/versions/7")),
                (stub.UpdateAlias, pb.UpdateAliasRequest(alias=alias)),
                (stub.DeleteModel, pb.DeleteModelRequest(name=name, etag="wrong")),
            )
            return [await reason_of(call(each, metadata=bearer(team))) for call, each in requests]

        assert await asked("other") == ["PERMISSION_DENIED"] * 5
        assert await asked("unknown") == ["PERMISSION_DENIED"] * 5
        own = await asked("team-a")
        assert own[0] == "MODEL_EXISTS"
        assert own[1] not in ("", "PERMISSION_DENIED")
        assert own[2] == "VERSION_NOT_FOUND"
        assert own[3:] == ["PERMISSION_DENIED"] * 2, "publisher has not the rights route and delete"
        assert await registry.push(team, "other", onnx_file(9.0)) == "PERMISSION_DENIED"
        assert await registry.push(team, "team-c", onnx_file(9.0)) == "models/team-c/versions/1"
        moving = await registry.push(team, "team-c", onnx_file(9.0), alias="champion")
        assert moving == "PERMISSION_DENIED"


async def test_watches_tell_no_keys_and_end_with_the_right(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Who watches sees models change; a revocation ends the watch at the next change."""
    async with secured_registry(redis_url, namespace, tmp_path) as registry:
        await _create(registry)
        team = await registry.key("team", ("viewer", "team-*"))
        reader = await registry.key("reader", ("viewer", "*"))
        stub = registry.stub
        filtered = stub.WatchChanges(pb.WatchChangesRequest(), metadata=bearer(team))
        told = {(await filtered.read()).resource for _ in range(2)}
        assert told == {"models/team-a", "models/team-b"}
        own = stub.WatchChanges(
            pb.WatchChangesRequest(model="models/team-a"), metadata=bearer(team)
        )
        assert (await own.read()).resource == "models/team-a"
        seen = stub.WatchChanges(pb.WatchChangesRequest(), metadata=bearer(reader))
        resources = [(await seen.read()).resource for _ in MODELS]
        assert all(resource.startswith("models/") for resource in resources)
        await _create(registry, "another", "team-c")
        assert (await filtered.read()).resource == "models/team-c"
        assert [(await seen.read()).resource for _ in range(2)] == [
            "models/another",
            "models/team-c",
        ]
        await registry.revoke(team)
        change = pb.UpdateModelRequest(
            model={"name": "models/team-a", "description": "x"},
            update_mask={"paths": ["description"]},
        )
        await stub.UpdateModel(change, metadata=bearer(registry.admin))
        with pytest.raises(grpc.RpcError) as ended:
            await own.read()
        assert status.error_from_rpc(ended.value).reason == "API_KEY_INVALID"
        assert (await seen.read()).resource == "models/team-a"


async def test_keys_are_the_admins_affair(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Nobody else makes keys or sees them; parts of the suite alone follow what decides."""
    async with secured_registry(redis_url, namespace, tmp_path) as registry:
        owner = await registry.key("owner", ("owner", "*"))
        service = await registry.key("monitor", ("service", "*"))
        apb, access = access_service_pb2, registry.access
        for call, request in (
            (access.CreateApiKey, apb.CreateApiKeyRequest(key={"subject": "x"})),
            (access.ListApiKeys, apb.ListApiKeysRequest()),
            (access.GrantRole, apb.GrantRoleRequest(subject="owner", grant={"role": "admin"})),
        ):
            for key, expected in ((owner, "PERMISSION_DENIED"), ("", "CREDENTIALS_MISSING")):
                assert await reason_of(call(request, metadata=bearer(key))) == expected
        watch = access.WatchRights(apb.WatchRightsRequest(), metadata=bearer(service))
        assert owner not in repr(await watch.read())
        watch.cancel()
        refused = access.WatchRights(apb.WatchRightsRequest(), metadata=bearer(owner))
        with pytest.raises(grpc.RpcError):
            await refused.read()


async def test_metrics_are_for_whoever_reads_everything(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Prometheus brings a key; probes need none."""
    async with (
        secured_registry(redis_url, namespace, tmp_path) as registry,
        aiohttp.ClientSession(f"http://{registry.running.http_address}") as http,
    ):
        team = await registry.key("team", ("viewer", "team-*"))
        scraper = await registry.key("prometheus", ("viewer", "*"))

        async def asked(path: str, key: str) -> int:
            async with http.get(path, headers=dict(bearer(key))) as answer:
                return answer.status

        assert [await asked(path, "") for path in ("/healthz", "/readyz")] == [200, 200]
        assert [await asked("/metrics", key) for key in ("", team, scraper)] == [401, 403, 200]


async def test_a_revocation_holds_at_once(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """When the call that revokes is answered, this registry takes the key no more."""
    async with secured_registry(redis_url, namespace, tmp_path) as registry:
        key = await registry.key("team", ("viewer", "*"))
        calls = [
            asyncio.create_task(
                reason_of(registry.stub.ListModels(pb.ListModelsRequest(), metadata=bearer(key)))
            )
            for _ in range(8)
        ]
        assert set(await asyncio.gather(*calls)) == {""}
        await registry.revoke(key)
        again = registry.stub.ListModels(pb.ListModelsRequest(), metadata=bearer(key))
        assert await reason_of(again) == "API_KEY_INVALID"
