"""The RPC methods of access: decode, call, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

import grpc.aio
from google.protobuf import empty_pb2
from google.protobuf.message import Message

from headrace.access_names import check_subject, parse_key
from headrace.conversion.access import binding_to_proto, key_to_proto, role_to_proto
from headrace.registry.v1 import access_pb2, access_service_pb2_grpc
from headrace.registry.v1 import access_service_pb2 as pb
from headrace.security import callers
from headrace.security.access import Access
from headrace.security.api_keys import make_key
from headrace.security.refusals import not_authenticated
from headrace.state.access_records import BINDING_PREFIX, KEY_PREFIX, BindingRecord
from headrace.state.changes import Change
from headrace.state.record_collections import API_KEYS, BINDINGS, ROLES, Collection
from headrace.state.rights import BUILT_IN
from headrace_registry.domain.catalog_store import CatalogStore, Decide
from headrace_registry.domain.history.rights_watches import RightsWatches
from headrace_registry.domain.pages import Page, PageRequest, take_page
from headrace_registry.domain.resources.api_keys import create_key, revoke_key, rotate_key
from headrace_registry.domain.resources.bindings import grant_role, revoke_role, set_binding
from headrace_registry.domain.resources.roles import create_role, delete_role, update_role
from headrace_registry.wire import access_requests as requests
from headrace_registry.wire.caller_message import caller_to_proto

Context = grpc.aio.ServicerContext[Message, Message]
ReadUses = Callable[[], Awaitable[Mapping[str, int]]]
"""The days on which keys were last used, by their ids; none while that cannot be read."""
Clock = Callable[[], float]
Record = TypeVar("Record")
_List = pb.ListApiKeysRequest | pb.ListRolesRequest | pb.ListBindingsRequest


class AccessServicer(access_service_pb2_grpc.AccessServiceServicer):
    """`headrace.registry.v1.AccessService`; its contract is in the proto."""

    def __init__(
        self,
        store: CatalogStore,
        access: Access,
        watches: RightsWatches[pb.WatchRightsResponse],
        read_uses: ReadUses,
        clock: Clock,
    ) -> None:
        self._store = store
        self._access = access
        self._watches = watches
        self._read_uses = read_uses
        self._clock = clock

    async def CreateApiKey(
        self, request: pb.CreateApiKeyRequest, _: Context
    ) -> pb.CreateApiKeyResponse:
        """Make an API key."""
        secret = make_key()
        new = requests.new_key(request, secret)
        change = await self._change(partial(create_key, new=new))
        return pb.CreateApiKeyResponse(key=self._key(change, change.resource), secret=secret)

    async def ListApiKeys(
        self, request: pb.ListApiKeysRequest, _: Context
    ) -> pb.ListApiKeysResponse:
        """List API keys."""
        keys, uses = (await self._store.latest()).of(API_KEYS), await self._read_uses()
        now, subject = self._clock(), request.subject
        names = (name for name, key in keys.items() if subject in ("", key.subject))

        def find(name: str) -> access_pb2.ApiKey:
            return key_to_proto(keys[name], now, uses.get(keys[name].id))

        page = await _page(request, names, find, f"keys of {subject}")
        return pb.ListApiKeysResponse(keys=page.items, next_page_token=page.next_token)

    async def RotateApiKey(
        self, request: pb.RotateApiKeyRequest, _: Context
    ) -> pb.RotateApiKeyResponse:
        """Make a key in the place of another."""
        secret = make_key()
        rotation = requests.rotation(request, secret)
        change = await self._change(partial(rotate_key, rotation=rotation))
        return pb.RotateApiKeyResponse(
            key=self._key(change, change.resource),
            secret=secret,
            former=self._key(change, f"{KEY_PREFIX}{rotation.former}"),
        )

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, _: Context) -> access_pb2.ApiKey:
        """Revoke a key."""
        key_id = parse_key(request.name)
        change = await self._change(partial(revoke_key, key_id=key_id))
        return self._key(change, change.resource)

    async def CreateRole(self, request: pb.CreateRoleRequest, _: Context) -> access_pb2.Role:
        """Create a role."""
        edit = requests.role_edit(request.role)
        return _role(await self._change(partial(create_role, edit=edit)))

    async def UpdateRole(self, request: pb.UpdateRoleRequest, _: Context) -> access_pb2.Role:
        """Change a role."""
        edit = requests.role_edit(request.role, allow_missing=request.allow_missing)
        return _role(await self._change(partial(update_role, edit=edit)))

    async def DeleteRole(self, request: pb.DeleteRoleRequest, _: Context) -> empty_pb2.Empty:
        """Delete a role."""
        removal = requests.role_removal(request)
        await self._change(partial(delete_role, removal=removal))
        return empty_pb2.Empty()

    async def ListRoles(self, request: pb.ListRolesRequest, _: Context) -> pb.ListRolesResponse:
        """List roles, those that are built in first."""
        roles = (await self._store.latest()).of(ROLES)
        built_in = {f" {role.id}": role for role in BUILT_IN}  # a blank sorts before all names

        def find(key: str) -> access_pb2.Role:
            known = built_in.get(key)
            return role_to_proto(known, built_in=True) if known else role_to_proto(roles[key])

        page = await _page(request, (*built_in, *roles), find, "roles")
        return pb.ListRolesResponse(roles=page.items, next_page_token=page.next_token)

    async def ListBindings(
        self, request: pb.ListBindingsRequest, _: Context
    ) -> pb.ListBindingsResponse:
        """List what subjects have."""
        bindings, subject = (await self._store.latest()).of(BINDINGS), request.subject
        names = (name for name, one in bindings.items() if subject in ("", one.subject))

        def find(name: str) -> access_pb2.Binding:
            return binding_to_proto(bindings[name])

        page = await _page(request, names, find, f"bindings of {check_subject(subject or '*')}")
        return pb.ListBindingsResponse(bindings=page.items, next_page_token=page.next_token)

    async def UpdateBinding(
        self, request: pb.UpdateBindingRequest, _: Context
    ) -> access_pb2.Binding:
        """Set what a subject has."""
        edit = requests.binding_edit(request)
        return _binding(await self._change(partial(set_binding, edit=edit)))

    async def GrantRole(self, request: pb.GrantRoleRequest, _: Context) -> access_pb2.Binding:
        """Grant a role, or set limits."""
        new = requests.new_grant(request)
        return _binding(await self._change(partial(grant_role, new=new)))

    async def RevokeRole(self, request: pb.RevokeRoleRequest, _: Context) -> access_pb2.Binding:
        """Take a role from a subject."""
        removal = requests.grant_removal(request)
        return _binding(await self._change(partial(revoke_role, removal=removal)))

    async def GetCaller(self, _request: pb.GetCallerRequest, _: Context) -> pb.GetCallerResponse:
        """Say who calls."""
        caller = callers.current_caller()
        if self._access.is_on and not caller.identity.is_known:
            raise not_authenticated()
        await self._store.latest()
        policy = self._access.rights.policy
        return caller_to_proto(caller, policy, enforced=self._access.is_on)

    async def WatchRights(
        self, _request: pb.WatchRightsRequest, _: Context
    ) -> AsyncIterator[pb.WatchRightsResponse]:
        """Stream what decides."""
        async for message in self._watches.watch():
            yield message

    async def _change(self, decide: Decide) -> Change:
        return await self._store.change("", decide, callers.current_caller().actor)

    def _key(self, change: Change, name: str) -> access_pb2.ApiKey:
        return key_to_proto(_record(change, API_KEYS, name), self._clock())


def _role(change: Change) -> access_pb2.Role:
    return role_to_proto(_record(change, ROLES, change.resource))


def _binding(change: Change) -> access_pb2.Binding:
    if change.kind == "binding.delete":
        empty = BindingRecord(change.resource.removeprefix(BINDING_PREFIX))
        return binding_to_proto(empty)
    return binding_to_proto(_record(change, BINDINGS, change.resource))


def _record(change: Change, collection: Collection[Record], name: str) -> Record:
    record = change.records[collection.name][name]
    assert isinstance(record, collection.record_type)
    return record


async def _page(
    request: _List, names: Iterable[str], find: Callable[[str], Record], listing: str
) -> Page[Record]:
    asked = PageRequest(listing, request.page_size, request.page_token)
    return await take_page(sorted(names), find, asked)
