"""A registry with authentication on, and keys that its first admin made."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from headrace import status
from headrace.registry.v1 import access_service_pb2
from headrace.registry.v1.access_service_pb2_grpc import AccessServiceStub
from headrace.security.api_keys import digest_of, id_of, make_key
from headrace.state.access_inbox import PostedKey, post
from headrace.state.access_records import GrantRecord
from tests.rpc.registry_fixtures import RunningRegistry, push_messages, running_registry

Metadata = list[tuple[str, str]]


def bearer(key: str) -> Metadata:
    """What a key's holder sends; nothing for ''."""
    return [("authorization", f"Bearer {key}")] if key else []


def post_admin(data: Path) -> str:
    """Leave the first admin's key in a registry's data folder."""
    key = make_key()
    granted = (GrantRecord("admin"),)
    post(data, PostedKey(id_of(key), "root", digest_of(key), time.time(), grants=granted))
    return key


@dataclass(frozen=True, slots=True)
class SecuredRegistry:
    """A registry, and the key of its admin."""

    running: RunningRegistry
    admin: str

    @property
    def stub(self) -> Any:
        """The methods of the registry."""
        return self.running.stub

    @property
    def access(self) -> Any:
        """The methods of keys and rights."""
        return AccessServiceStub(self.running.channel)

    async def key(self, subject: str, *grants: tuple[str, str]) -> str:
        """Make a key for somebody with these roles, each for the models of a pattern."""
        given = [{"role": role, "models": [models]} for role, models in grants]
        request = access_service_pb2.CreateApiKeyRequest(key={"subject": subject}, grants=given)
        made = await self.access.CreateApiKey(request, metadata=bearer(self.admin))
        return str(made.secret)

    async def grant(self, subject: str, role: str, models: str) -> None:
        """Give somebody a role for the models of a pattern."""
        request = access_service_pb2.GrantRoleRequest(
            subject=subject, grant={"role": role, "models": [models]}
        )
        await self.access.GrantRole(request, metadata=bearer(self.admin))

    async def revoke(self, key: str) -> None:
        """Revoke a key."""
        request = access_service_pb2.RevokeApiKeyRequest(name=f"keys/{id_of(key)}")
        await self.access.RevokeApiKey(request, metadata=bearer(self.admin))

    async def push(self, key: str, model: str, artifact: bytes, **header: Any) -> str:
        """Push a version; its name, or the reason of the refusal."""
        announced = {
            "parent": f"models/{model}",
            "filename": "model.onnx",
            "size_bytes": len(artifact),
            "sha256": hashlib.sha256(artifact).hexdigest(),
            "create_model": True,
            **header,
        }
        push = self.running.blocking_stub.PushVersion
        messages = push_messages(artifact, announced)

        def call() -> str:
            try:
                return str(push(messages, timeout=60, metadata=bearer(key)).name)
            except grpc.RpcError as error:
                return status.error_from_rpc(error).reason

        return await asyncio.to_thread(call)


async def reason_of(call: Any) -> str:
    """The reason of a call's refusal; '' where it was answered."""
    try:
        await call
    except grpc.RpcError as error:
        return status.error_from_rpc(error).reason
    return ""


@asynccontextmanager
async def secured_registry(
    redis_url: str, namespace: str, data: Path, **changes: Any
) -> AsyncIterator[SecuredRegistry]:
    """A registry with authentication on while inside, its admin known."""
    admin = post_admin(data)
    async with running_registry(redis_url, namespace, data, auth="on", **changes) as running:
        secured = SecuredRegistry(running, admin)
        asked = access_service_pb2.GetCallerRequest()
        for _ in range(2000):
            if not await reason_of(secured.access.GetCaller(asked, metadata=bearer(admin))):
                break
            await asyncio.sleep(0.01)  # the key is taken in when the state was read
        yield secured
