"""API keys, roles and grants, as a client of the registry manages them."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.client import access_messages, methods
from headrace.client.access_messages import Grants
from headrace.client.access_resources import (
    ApiKey,
    Binding,
    CallerInfo,
    CallLimits,
    NewApiKey,
    Role,
    Rule,
)
from headrace.client.catalog import CatalogCalls
from headrace.registry.v1 import access_pb2
from headrace.registry.v1 import access_service_pb2 as pb


class AccessCalls(CatalogCalls):
    """Who may do what; all but `caller` takes the verb admin."""

    async def create_api_key(
        self,
        subject: str,
        *,
        ttl_seconds: float | None = None,
        note: str = "",
        grants: Grants = (),
        timeout_seconds: float | None = None,
    ) -> NewApiKey:
        """Make an API key; its `secret` is told this once. `grants` has roles to grant with it.

        It is asked for once: where the answer got lost, there is a key that nobody knows, to be revoked.
        Raises ResourceExhausted (TOO_MANY_API_KEYS), NotFound (ROLE_NOT_FOUND), InvalidArgument.
        """
        request = pb.CreateApiKeyRequest(
            key=access_pb2.ApiKey(subject=subject, note=note),
            ttl=access_messages.duration_of(ttl_seconds, "ttl"),
            grants=access_messages.grants_to_proto(grants),
        )
        made = await self._change(methods.CREATE_API_KEY, request, timeout_seconds)
        return access_messages.new_key_from_proto(made)

    async def api_keys(
        self, subject: str = "", *, timeout_seconds: float | None = None
    ) -> list[ApiKey]:
        """All API keys, or those of a subject; those that have ended for up to 30 days."""
        request = pb.ListApiKeysRequest(subject=subject)
        found = await self._pages(
            methods.LIST_API_KEYS, request, lambda page: page.keys, timeout_seconds
        )
        return [access_messages.key_from_proto(key) for key in found]

    async def rotate_api_key(
        self,
        key_id: str,
        *,
        overlap_seconds: float | None = None,
        ttl_seconds: float | None = None,
        timeout_seconds: float | None = None,
    ) -> NewApiKey:
        """Make another key for a key's subject; the present one ends after the overlap (1 day).

        Raises NotFound, FailedPrecondition (API_KEY_ENDED), ResourceExhausted (TOO_MANY_API_KEYS).
        """
        request = pb.RotateApiKeyRequest(
            name=_key_name(key_id),
            overlap=access_messages.duration_of(overlap_seconds, "overlap"),
            ttl=access_messages.duration_of(ttl_seconds, "ttl"),
        )
        made = await self._change(methods.ROTATE_API_KEY, request, timeout_seconds)
        return access_messages.new_key_from_proto(made)

    async def revoke_api_key(self, key_id: str, *, timeout_seconds: float | None = None) -> ApiKey:
        """Revoke an API key for ever. Raises NotFound."""
        request = pb.RevokeApiKeyRequest(name=_key_name(key_id))
        revoked = await self._ask_registry(methods.REVOKE_API_KEY, request, timeout_seconds)
        return access_messages.key_from_proto(revoked)

    async def roles(self, *, timeout_seconds: float | None = None) -> list[Role]:
        """All roles, those that are built in first."""
        found = await self._pages(
            methods.LIST_ROLES, pb.ListRolesRequest(), lambda page: page.roles, timeout_seconds
        )
        return [access_messages.role_from_proto(role) for role in found]

    async def set_role(
        self,
        role: str,
        rules: Sequence[Rule],
        *,
        description: str = "",
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> Role:
        """Set all of a role, creating it if need be. Raises FailedPrecondition, Aborted,
        InvalidArgument."""
        request = pb.UpdateRoleRequest(
            role=access_messages.role_to_proto(role, rules, description, etag),
            allow_missing=not etag,
        )
        changed = await self._ask_registry(methods.UPDATE_ROLE, request, timeout_seconds)
        return access_messages.role_from_proto(changed)

    async def delete_role(
        self, role: str, *, etag: str = "", timeout_seconds: float | None = None
    ) -> None:
        """Delete a role. Raises NotFound, Aborted, FailedPrecondition (ROLE_IN_USE, ROLE_BUILT_IN)."""
        request = pb.DeleteRoleRequest(name=f"roles/{role}", etag=etag)
        await self._change(methods.DELETE_ROLE, request, timeout_seconds)

    async def bindings(
        self, subject: str = "", *, timeout_seconds: float | None = None
    ) -> list[Binding]:
        """What all subjects have, or one of them."""
        request = pb.ListBindingsRequest(subject=subject)
        found = await self._pages(
            methods.LIST_BINDINGS, request, lambda page: page.bindings, timeout_seconds
        )
        return [access_messages.binding_from_proto(binding) for binding in found]

    async def set_binding(
        self,
        subject: str,
        grants: Grants,
        limits: CallLimits | None = None,
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> Binding:
        """Set all that a subject has; nothing at all ends its binding.

        Raises NotFound (ROLE_NOT_FOUND), Aborted, FailedPrecondition (LAST_ADMIN), InvalidArgument.
        """
        binding = access_pb2.Binding(
            subject=subject,
            grants=access_messages.grants_to_proto(grants),
            limits=access_messages.limits_to_proto(limits or CallLimits()),
            etag=etag,
        )
        request = pb.UpdateBindingRequest(binding=binding)
        changed = await self._ask_registry(methods.UPDATE_BINDING, request, timeout_seconds)
        return access_messages.binding_from_proto(changed)

    async def grant_role(
        self,
        subject: str,
        role: str = "",
        models: Sequence[str] = (),
        *,
        limits: CallLimits | None = None,
        timeout_seconds: float | None = None,
    ) -> Binding:
        """Grant a role for models by patterns of their names (`*`: any text), or set limits, or both.

        Raises NotFound (ROLE_NOT_FOUND), InvalidArgument.
        """
        request = pb.GrantRoleRequest(
            subject=subject,
            grant=access_pb2.Grant(role=role, models=models) if role else None,
            limits=None if limits is None else access_messages.limits_to_proto(limits),
        )
        changed = await self._ask_registry(methods.GRANT_ROLE, request, timeout_seconds)
        return access_messages.binding_from_proto(changed)

    async def revoke_role(
        self, subject: str, role: str, *, timeout_seconds: float | None = None
    ) -> Binding:
        """Take a role from a subject. Raises NotFound, FailedPrecondition (LAST_ADMIN)."""
        request = pb.RevokeRoleRequest(subject=subject, role=role)
        changed = await self._change(methods.REVOKE_ROLE, request, timeout_seconds)
        return access_messages.binding_from_proto(changed)

    async def caller(self, *, timeout_seconds: float | None = None) -> CallerInfo:
        """Who this client is to the registry, and what it may do. Raises Unauthenticated."""
        request = pb.GetCallerRequest()
        found = await self._ask_registry(methods.GET_CALLER, request, timeout_seconds)
        return access_messages.caller_from_proto(found)


def _key_name(key_id: str) -> str:
    return f"keys/{key_id.removeprefix('keys/')}"
