"""Refusals of the registry's access service, by the reason that they are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from headrace.registry.v1 import access_service_pb2 as pb
from headrace.registry.v1.access_service_pb2_grpc import AccessServiceStub
from tests.reasons.exact import Told, told_by
from tests.reasons.registry import Refusal
from tests.rpc.registry_fixtures import RunningRegistry


def asking(method: str, fields: Mapping[str, Any]) -> Callable[[RunningRegistry], Awaitable[Told]]:
    """A call with these fields of its request."""

    async def ask(running: RunningRegistry) -> Told:
        stub: Any = AccessServiceStub(running.channel)
        return await told_by(getattr(stub, method)(getattr(pb, f"{method}Request")(**fields)))

    return ask


async def third_key(running: RunningRegistry) -> Told:
    """A third key for a subject with two."""
    stub: Any = AccessServiceStub(running.channel)
    for _ in range(2):
        await stub.CreateApiKey(pb.CreateApiKeyRequest(key={"subject": "two"}))
    return await told_by(stub.CreateApiKey(pb.CreateApiKeyRequest(key={"subject": "two"})))


async def rotating_ended(running: RunningRegistry) -> Told:
    """A key in the place of one that was revoked."""
    stub: Any = AccessServiceStub(running.channel)
    made = await stub.CreateApiKey(pb.CreateApiKeyRequest(key={"subject": "ended"}))
    await stub.RevokeApiKey(pb.RevokeApiKeyRequest(name=made.key.name))
    return await told_by(stub.RotateApiKey(pb.RotateApiKeyRequest(name=made.key.name)))


async def in_use(running: RunningRegistry) -> Told:
    """The end of a role that somebody has."""
    stub: Any = AccessServiceStub(running.channel)
    role = {"name": "roles/held", "rules": [{"verbs": ["read"]}]}
    await stub.CreateRole(pb.CreateRoleRequest(role=role))
    await stub.GrantRole(pb.GrantRoleRequest(subject="holder", grant={"role": "held"}))
    return await told_by(stub.DeleteRole(pb.DeleteRoleRequest(name="roles/held")))


async def last_admin(running: RunningRegistry) -> Told:
    """The end of the only admin."""
    stub: Any = AccessServiceStub(running.channel)
    await stub.GrantRole(pb.GrantRoleRequest(subject="root", grant={"role": "admin"}))
    return await told_by(stub.RevokeRole(pb.RevokeRoleRequest(subject="root", role="admin")))


ACCESS: tuple[Refusal, ...] = (
    Refusal(
        "InvalidArgument",
        "SUBJECT_INVALID",
        "CreateApiKey",
        asking("CreateApiKey", {"key": {"subject": "corp:alice"}}),
    ),
    Refusal(
        "InvalidArgument",
        "KEY_TIME_INVALID",
        "CreateApiKey",
        asking("CreateApiKey", {"key": {"subject": "alice"}, "ttl": {"seconds": -1}}),
    ),
    Refusal(
        "InvalidArgument",
        "ROLE_INVALID",
        "CreateRole",
        asking("CreateRole", {"role": {"name": "roles/x", "rules": [{"verbs": ["fly"]}]}}),
    ),
    Refusal(
        "InvalidArgument",
        "LIMITS_INVALID",
        "GrantRole",
        asking("GrantRole", {"subject": "alice", "limits": {"in_flight": -1}}),
    ),
    Refusal(
        "NotFound",
        "API_KEY_NOT_FOUND",
        "RevokeApiKey",
        asking("RevokeApiKey", {"name": "nokey123"}),
    ),
    Refusal(
        "NotFound",
        "ROLE_NOT_FOUND",
        "GrantRole",
        asking("GrantRole", {"subject": "alice", "grant": {"role": "none"}}),
    ),
    Refusal(
        "NotFound",
        "GRANT_NOT_FOUND",
        "RevokeRole",
        asking("RevokeRole", {"subject": "alice", "role": "admin"}),
    ),
    Refusal(
        "AlreadyExists",
        "ROLE_EXISTS",
        "CreateRole",
        asking("CreateRole", {"role": {"name": "roles/admin", "rules": [{"verbs": ["read"]}]}}),
    ),
    Refusal(
        "FailedPrecondition",
        "ROLE_BUILT_IN",
        "DeleteRole",
        asking("DeleteRole", {"name": "roles/admin"}),
    ),
    Refusal("ResourceExhausted", "TOO_MANY_API_KEYS", "CreateApiKey", third_key),
    Refusal("FailedPrecondition", "API_KEY_ENDED", "RotateApiKey", rotating_ended),
    Refusal("FailedPrecondition", "ROLE_IN_USE", "DeleteRole", in_use),
    Refusal("FailedPrecondition", "LAST_ADMIN", "RevokeRole", last_admin),
)
