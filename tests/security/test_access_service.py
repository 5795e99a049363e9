"""Keys, roles and grants are for admins of all models; anybody who is somebody learns who he is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from headrace.registry.v1 import access_service_pb2 as pb
from headrace.security.api_keys import digest_of, id_of, make_key
from headrace.state.access_inbox import PostedKey, post
from headrace.state.access_records import GrantRecord
from tests.rpc.registry_fixtures import RunningRegistry, running_registry
from tests.rpc.test_registry_access import access

SUBJECTS: Mapping[str, tuple[GrantRecord, ...]] = {
    "root": (GrantRecord("admin"),),
    "team": (GrantRecord("admin", ("fraud-*",)), GrantRecord("owner", ("fraud-*",))),
    "web": (GrantRecord("caller"),),
    "monitor": (GrantRecord("service"),),
    "nothing": (),
}
ADMINS_ONLY: Mapping[str, Mapping[str, Any]] = {
    "CreateApiKey": {"key": {"subject": "other"}},
    "ListApiKeys": {},
    "RotateApiKey": {"name": "keys/nokey123"},
    "RevokeApiKey": {"name": "keys/nokey123"},
    "CreateRole": {"role": {"name": "roles/x", "rules": [{"verbs": ["read"]}]}},
    "UpdateRole": {"role": {"name": "roles/x", "rules": [{"verbs": ["read"]}]}},
    "DeleteRole": {"name": "roles/x"},
    "ListRoles": {},
    "ListBindings": {},
    "UpdateBinding": {"binding": {"subject": "other"}},
    "GrantRole": {"subject": "other", "grant": {"role": "viewer"}},
    "RevokeRole": {"subject": "other", "role": "viewer"},
}
Code = grpc.StatusCode


@asynccontextmanager
async def asking(
    redis_url: str, namespace: str, data: Path
) -> AsyncIterator[tuple[RunningRegistry, dict[str, str]]]:
    """A registry that asks who calls, and a key of each subject, which were left in its folder."""
    keys = {subject: make_key() for subject in SUBJECTS}
    for subject, grants in SUBJECTS.items():
        key = keys[subject]
        post(data, PostedKey(id_of(key), subject, digest_of(key), 1.0, grants=grants))
    async with running_registry(redis_url, namespace, data, auth="on") as running:
        yield running, keys


async def status(running: RunningRegistry, secret: str, method: str, **fields: Any) -> Code:
    """The status of a call with a key; '' for none."""
    metadata = (("authorization", f"Bearer {secret}"),) if secret else ()
    request = getattr(pb, f"{method}Request")(**fields)
    try:
        await getattr(access(running), method)(request, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return Code.OK


async def test_only_admins_of_all_models_manage_access(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """An admin of some models is not one, and the suite's own parts are not."""
    refused = {Code.PERMISSION_DENIED, Code.UNAUTHENTICATED}
    async with asking(redis_url, namespace, tmp_path) as (running, keys):
        for method, fields in ADMINS_ONLY.items():
            for subject in ("team", "web", "monitor", "nothing"):
                found = await status(running, keys[subject], method, **fields)
                assert found is Code.PERMISSION_DENIED, (method, subject)
            assert await status(running, "", method, **fields) is Code.UNAUTHENTICATED
            assert await status(running, keys["root"], method, **fields) not in refused, method


async def test_only_parts_of_the_suite_watch_rights(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Not even admins do: whoever may grant that to himself leaves a trace."""
    async with asking(redis_url, namespace, tmp_path) as (running, keys):
        for subject in ("root", "web"):
            call = access(running).WatchRights(
                pb.WatchRightsRequest(), metadata=(("authorization", f"Bearer {keys[subject]}"),)
            )
            assert await call.code() is Code.PERMISSION_DENIED
        call = access(running).WatchRights(
            pb.WatchRightsRequest(), metadata=(("authorization", f"Bearer {keys['monitor']}"),)
        )
        told = await call.read()
    assert set(SUBJECTS) == {key.subject for key in told.keys}


async def test_a_caller_learns_who_he_is_and_what_he_may(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Also one who may nothing; nobody learns nothing."""
    async with asking(redis_url, namespace, tmp_path) as (running, keys):
        assert await status(running, "", "GetCaller") is Code.UNAUTHENTICATED
        told = {
            subject: await access(running).GetCaller(
                pb.GetCallerRequest(), metadata=(("authorization", f"Bearer {keys[subject]}"),)
            )
            for subject in ("team", "nothing")
        }
    team = {right.verb: list(right.models) for right in told["team"].rights}
    assert ("team", "api-key", True) == (
        told["team"].subject,
        told["team"].proof,
        told["team"].enforced,
    )
    assert ["fraud-*"] == team["admin"]
    assert "service" not in team
    assert ("nothing", 0) == (told["nothing"].subject, len(told["nothing"].rights))


async def test_a_revoked_key_opens_nothing_once_that_is_answered(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """At the registry that answered; a watch that the key opened ends."""
    async with asking(redis_url, namespace, tmp_path) as (running, keys):
        metadata = (("authorization", f"Bearer {keys['monitor']}"),)
        watch = access(running).WatchRights(pb.WatchRightsRequest(), metadata=metadata)
        await watch.read()
        revoke = pb.RevokeApiKeyRequest(name=f"keys/{id_of(keys['monitor'])}")
        await access(running).RevokeApiKey(
            revoke, metadata=(("authorization", f"Bearer {keys['root']}"),)
        )
        assert await status(running, keys["monitor"], "GetCaller") is Code.UNAUTHENTICATED
        async with asyncio.timeout(10):
            assert await watch.code() is Code.UNAUTHENTICATED
