"""Keys, roles and bindings over a registry's socket, and what those who follow it make of them."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace.registry.v1 import access_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2 as registry_pb
from headrace.registry.v1.access_service_pb2_grpc import AccessServiceStub
from headrace.security.api_keys import digest_of, id_of, make_key
from headrace.security.identities import Identity, Proof
from headrace.security.verbs import Verb
from headrace.state.access_inbox import PostedKey, post
from headrace.state.access_records import GrantRecord
from headrace.state.connection import open_redis
from headrace.state.follower import StateFollower
from headrace.state.key_uses import note_key_uses, read_key_uses
from headrace.state.keys import Keys
from headrace.state.rights import rights_of
from tests.rpc.registry_fixtures import RunningRegistry, running_registry


def access(running: RunningRegistry) -> Any:
    """The access service of a registry."""
    return AccessServiceStub(running.channel)


async def make(running: RunningRegistry, subject: str, **fields: Any) -> Any:
    """Make a key."""
    return await access(running).CreateApiKey(
        pb.CreateApiKeyRequest(key={"subject": subject}, **fields)
    )


async def test_a_key_is_told_once_and_kept_as_its_digest(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Nothing of the secret is in the shared state, in a list, or in the data folder."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        made = await make(running, "alice", ttl={"seconds": 3600}, grants=[{"role": "caller"}])
        listed = await access(running).ListApiKeys(pb.ListApiKeysRequest(subject="alice"))
        async with open_redis(redis_url) as redis:
            stored = await redis.hgetall(Keys(namespace).collection("api_keys"))
            log = await redis.xrange(Keys(namespace).changes)
    key = made.key
    assert key.name == f"keys/{id_of(made.secret)}"
    assert key.live
    assert key.expire_time.seconds - key.create_time.seconds == 3600
    assert [key] == list(listed.keys)
    everything = repr((stored, log, listed))
    assert made.secret not in everything
    assert digest_of(made.secret) in everything


async def test_rotation_and_revocation_are_listed(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The former key goes on for the overlap; a revoked one is not live."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        made = await make(running, "alice")
        rotated = await access(running).RotateApiKey(
            pb.RotateApiKeyRequest(name=made.key.name, overlap={"seconds": 60})
        )
        await access(running).RevokeApiKey(pb.RevokeApiKeyRequest(name=rotated.key.name))
        listed = await access(running).ListApiKeys(pb.ListApiKeysRequest())
    assert made.secret != rotated.secret
    assert rotated.former.live
    assert rotated.former.expire_time.seconds - rotated.key.create_time.seconds == 60
    assert {made.key.name: (True, False), rotated.key.name: (False, True)} == {
        key.name: (key.live, key.revoked) for key in listed.keys
    }


async def test_roles_and_bindings_reach_who_follows_the_state(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A replica decides by what the registry granted."""
    alice = Identity("alice", Proof.API_KEY)
    async with running_registry(redis_url, namespace, tmp_path) as running:
        stub = access(running)
        rules = [{"verbs": ["read", "infer"], "models": ["fraud-*"]}]
        await stub.CreateRole(pb.CreateRoleRequest(role={"name": "roles/team", "rules": rules}))
        granted = await stub.GrantRole(
            pb.GrantRoleRequest(
                subject="alice", grant={"role": "team"}, limits={"requests_per_second": 5}
            )
        )
        made = await make(running, "alice")
        async with open_redis(redis_url) as redis:
            follower = StateFollower(redis, Keys(namespace))
            await follower.refresh()
            before = rights_of(follower.catalog)
            await stub.RevokeRole(pb.RevokeRoleRequest(subject="alice", role="team"))
            await follower.refresh()
            after = rights_of(follower.catalog)
        roles = (await stub.ListRoles(pb.ListRolesRequest())).roles
        bindings = (await stub.ListBindings(pb.ListBindingsRequest(subject="alice"))).bindings
    assert "alice" == before.keys[digest_of(made.secret)].subject
    assert before.policy.may(alice, Verb.INFER, "fraud-1")
    assert not before.policy.may(alice, Verb.INFER, "digits")
    assert not after.policy.may_somewhere(alice, Verb.INFER)
    assert ["roles/admin", "roles/team"] == [roles[0].name, roles[-1].name]
    assert [True, False] == [roles[0].built_in, roles[-1].built_in]
    assert granted.grants
    assert [("alice", 0, 5.0)] == [
        (each.subject, len(each.grants), each.limits.requests_per_second) for each in bindings
    ]


async def test_lists_come_in_pages(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Of roles, those that are built in come first, over all pages."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        whole = await access(running).ListRoles(pb.ListRolesRequest())
        names: list[str] = []
        token = ""
        while True:
            request = pb.ListRolesRequest(page_size=3, page_token=token)
            page = await access(running).ListRoles(request)
            names += [role.name for role in page.roles]
            if not (token := page.next_page_token):
                break
    assert [role.name for role in whole.roles] == names


async def test_watchers_of_models_never_see_keys_or_grants(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The watch goes on behind them, and its marks pass them."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        request = registry_pb.WatchChangesRequest(progress=True)
        watch = running.stub.WatchChanges(request)
        made = await make(running, "alice", grants=[{"role": "caller"}])
        await running.stub.CreateModel(
            registry_pb.CreateModelRequest(model={"name": "models/digits"})
        )
        seen = []
        async for message in watch:
            seen.append(message)
            if message.kind == "model.create":
                break
    told = "".join(str(message) for message in seen)
    assert ["model.create"] == [message.kind for message in seen if message.kind]
    assert made.key.name not in told
    assert "alice" not in told


async def _rights(stub: Any) -> AsyncIterator[Any]:
    async for message in stub.WatchRights(pb.WatchRightsRequest()):
        if not message.unchanged:
            yield message


async def test_parts_of_the_suite_are_told_what_decides(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """All of it at once, and again after each change of it; a model's change says nothing."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        rights = _rights(access(running))
        first = await anext(rights)
        made = await make(running, "alice", grants=[{"role": "caller"}])
        second = await anext(rights)
        await running.stub.CreateModel(
            registry_pb.CreateModelRequest(model={"name": "models/digits"})
        )
        await access(running).RevokeApiKey(pb.RevokeApiKeyRequest(name=made.key.name))
        third = await anext(rights)
    assert [] == list(first.keys)
    assert [(digest_of(made.secret), "alice", False)] == [
        (key.digest, key.subject, key.revoked) for key in second.keys
    ]
    assert ["alice"] == [binding.subject for binding in second.bindings]
    assert [True] == [key.revoked for key in third.keys]
    assert third.revision == 3


async def test_a_registry_that_stops_ends_watches_of_rights(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """With a word that says so."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        watch = access(running).WatchRights(pb.WatchRightsRequest())
        await watch.read()
        running.stopping.set()
        with pytest.raises(grpc.aio.AioRpcError, match="the registry is stopping"):
            await watch.read()


def posted(subject: str, **changes: Any) -> tuple[str, PostedKey]:
    """A key, and what is left of it in the folder."""
    secret = make_key()
    fields: dict[str, Any] = {"grants": (GrantRecord("admin"),)} | changes
    return secret, PostedKey(id_of(secret), subject, digest_of(secret), 1.0, **fields)


async def test_a_key_left_in_the_folder_is_taken_in(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """At the start and while it runs; the file is private, without the secret, and gone afterwards."""
    first, second = posted("root"), posted("other")
    file = post(tmp_path, first[1])
    assert (0o600, 0o700) == (
        stat.S_IMODE(file.stat().st_mode),
        stat.S_IMODE(file.parent.stat().st_mode),
    )
    assert first[0] not in file.read_text()
    assert json.loads(file.read_text())["digest"] == digest_of(first[0])
    async with running_registry(redis_url, namespace, tmp_path) as running:
        rights = _rights(access(running))
        while not (told := await anext(rights)).keys:
            pass
        post(tmp_path, second[1])
        while len(told.keys) < 2:
            told = await anext(rights)
        listed = await access(running).ListApiKeys(pb.ListApiKeysRequest())
        assert not file.exists()
    assert {"root", "other"} == {binding.subject for binding in told.bindings}
    assert {"bootstrap"} == {key.created_by for key in listed.keys}


async def test_the_day_of_a_keys_last_use_is_listed(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """As replicas note it; those of keys that are gone are forgotten at the next start."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        made = await make(running, "alice")
        async with open_redis(redis_url) as redis:
            uses = {id_of(made.secret): 20_000, "other123": 19_000}
            await note_key_uses(redis, Keys(namespace), uses)
        listed = await access(running).ListApiKeys(pb.ListApiKeysRequest())
    async with running_registry(redis_url, namespace, tmp_path), open_redis(redis_url) as redis:
        kept = await read_key_uses(redis, Keys(namespace))
    assert [20_000 * 86_400] == [key.last_use_day.seconds for key in listed.keys]
    assert {id_of(made.secret): 20_000} == kept


async def test_a_caller_is_told_what_he_may(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Where nobody is asked who he is, everything, and that says so."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        told = await access(running).GetCaller(
            pb.GetCallerRequest(), metadata=(("x-headrace-actor", "ada"),)
        )
    assert ("ada", "none", False) == (told.subject, told.proof, told.enforced)
    assert {"*"} == {model for right in told.rights for model in right.models}
