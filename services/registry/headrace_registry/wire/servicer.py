"""The registry's RPC methods: decode, call, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import grpc.aio
from google.protobuf import empty_pb2
from google.protobuf.message import Message

from headrace.registry.v1 import (
    alias_pb2,
    model_pb2,
    registry_service_pb2_grpc,
    replica_pb2,
    route_pb2,
    version_pb2,
)
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.resource_names import parse_alias, parse_model, parse_route, parse_version
from headrace.security import callers
from headrace.security.access import OPEN_ACCESS, Access
from headrace.state.records import ReplicaRecord
from headrace_registry.domain.catalog_store import CatalogStore
from headrace_registry.domain.decisions.readiness import with_standby, without_others
from headrace_registry.domain.history.audit import StoredLog, read_page
from headrace_registry.domain.history.watches import Watches
from headrace_registry.domain.pages import PageRequest, page_size, take_page
from headrace_registry.domain.pushes.artifacts import Artifacts
from headrace_registry.domain.resources.aliases import (
    delete_alias,
    find_alias,
    move_alias,
    move_aliases,
)
from headrace_registry.domain.resources.models import create_model, find_model, update_model
from headrace_registry.domain.resources.routes import find_route, update_route
from headrace_registry.wire import audit_messages, change_messages, convert, requests
from headrace_registry.wire.digests import parse_digest
from headrace_registry.wire.sight import Sight
from headrace_registry.wire.streams import read_chunks, read_header

Context = grpc.aio.ServicerContext[Message, Message]
ReadReplicas = Callable[[str], Awaitable[Sequence[ReplicaRecord]]]
"""The replicas with what they have of a model; of all for ''."""


class BlobReader(Protocol):
    """Reads blobs."""

    def read(self, digest: str, offset: int) -> AsyncIterator[bytes]:
        """The bytes of a blob from `offset`, a chunk at a time."""


class RegistryServicer(registry_service_pb2_grpc.RegistryServiceServicer):
    """`headrace.registry.v1.RegistryService`; its contract is in the proto."""

    def __init__(
        self,
        store: CatalogStore,
        artifacts: Artifacts,
        blobs: BlobReader,
        read_replicas: ReadReplicas,
        watches: Watches,
        log: StoredLog,
        access: Access = OPEN_ACCESS,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._blobs = blobs
        self._read_replicas = read_replicas
        self._watches = watches
        self._log = log
        self._sight = Sight(access)

    async def CreateModel(self, request: pb.CreateModelRequest, _: Context) -> model_pb2.Model:
        """Create a model."""
        new = requests.new_model(request)
        decide = partial(create_model, new=new)
        creation = requests.creation(request)
        change = await self._store.change(new.name, decide, _actor(), creation)
        return change_messages.model_after(change)

    async def GetModel(self, request: pb.GetModelRequest, _: Context) -> model_pb2.Model:
        """Get a model."""
        model = parse_model(request.name)
        catalog = await self._store.latest()
        return convert.model_in_catalog(catalog, find_model(catalog, model))

    async def ListModels(self, request: pb.ListModelsRequest, _: Context) -> pb.ListModelsResponse:
        """List models."""
        catalog, point = await self._store.latest(), self._store.point
        asked = requests.page(request, "models")

        def find(name: str) -> model_pb2.Model:
            return convert.model_in_catalog(catalog, catalog.models[name])

        page = await take_page(
            catalog.model_names(), find, asked, model_pb2.Model.ByteSize, self._sight.models()
        )
        return pb.ListModelsResponse(
            models=page.items,
            next_page_token=page.next_token,
            revision=point.revision,
            epoch=point.epoch,
            hash=point.hash,
        )

    async def UpdateModel(self, request: pb.UpdateModelRequest, _: Context) -> model_pb2.Model:
        """Change a model."""
        edit = requests.model_edit(request)
        decide = partial(update_model, edit=edit)
        return change_messages.model_after(await self._store.change(edit.name, decide, _actor()))

    async def DeleteModel(self, request: pb.DeleteModelRequest, _: Context) -> empty_pb2.Empty:
        """Delete a model."""
        await self._artifacts.delete_model(requests.model_removal(request), _actor())
        return empty_pb2.Empty()

    async def PushVersion(
        self, messages: AsyncIterator[pb.PushVersionRequest], _: Context
    ) -> version_pb2.Version:
        """Push a version."""
        with self._artifacts.opened() as upload:
            push = requests.push(await upload.wait(read_header(messages)))
            change = await self._artifacts.push(push, upload, read_chunks(messages), _actor())
            return change_messages.version_after(change)

    async def GetVersion(self, request: pb.GetVersionRequest, _: Context) -> version_pb2.Version:
        """Get a version."""
        model, number = parse_version(request.name)
        return convert.version_in_catalog(await self._store.latest(), model, number)

    async def ListVersions(
        self, request: pb.ListVersionsRequest, _: Context
    ) -> pb.ListVersionsResponse:
        """List the versions of a model, newest first."""
        catalog, model = await self._store.latest(), parse_model(request.parent)
        find_model(catalog, model)
        asked = requests.page(request, f"{request.parent}/versions")
        newest_first = [-number for number in reversed(catalog.numbers_of(model))]

        def find(key: int) -> version_pb2.Version:
            return convert.version_in_catalog(catalog, model, -key)

        page = await take_page(newest_first, find, asked, version_pb2.Version.ByteSize)
        return pb.ListVersionsResponse(versions=page.items, next_page_token=page.next_token)

    async def DeleteVersion(self, request: pb.DeleteVersionRequest, _: Context) -> empty_pb2.Empty:
        """Delete a version."""
        await self._artifacts.delete_version(requests.version_removal(request), _actor())
        return empty_pb2.Empty()

    async def ReadBlob(
        self, request: pb.ReadBlobRequest, _: Context
    ) -> AsyncIterator[pb.ReadBlobResponse]:
        """Read a blob."""
        digest = parse_digest(request.sha256, "sha256")
        offset = requests.not_negative(request.offset, "offset")
        await self._sight.check_blob(digest, self._store.read)
        async for chunk in self._blobs.read(digest, offset):
            yield pb.ReadBlobResponse(chunk=chunk)

    async def GetAlias(self, request: pb.GetAliasRequest, _: Context) -> alias_pb2.Alias:
        """Get an alias."""
        model, name = parse_alias(request.name)
        return convert.alias_to_proto(
            model, name, find_alias(await self._store.latest(), model, name)
        )

    async def ListAliases(
        self, request: pb.ListAliasesRequest, _: Context
    ) -> pb.ListAliasesResponse:
        """List the aliases of a model."""
        model = parse_model(request.parent)
        aliases = find_model(await self._store.latest(), model).aliases
        asked = requests.page(request, f"{request.parent}/aliases")
        page = await take_page(sorted(aliases), str, asked)
        return pb.ListAliasesResponse(
            aliases=[convert.alias_to_proto(model, name, aliases[name]) for name in page.items],
            next_page_token=page.next_token,
        )

    async def UpdateAlias(self, request: pb.UpdateAliasRequest, _: Context) -> alias_pb2.Alias:
        """Move an alias."""
        move = requests.alias_move(request)
        replicas = await self._replicas_with(move.model)
        decide = partial(move_alias, move=move, replicas=replicas)
        return change_messages.alias_after(await self._store.change(move.model, decide, _actor()))

    async def BatchUpdateAliases(
        self, request: pb.BatchUpdateAliasesRequest, _: Context
    ) -> pb.BatchUpdateAliasesResponse:
        """Move several aliases at once."""
        model, moves = requests.alias_moves(request)
        replicas = await self._replicas_with(model)
        decide = partial(move_aliases, model=model, moves=moves, replicas=replicas)
        change = await self._store.change(model, decide, _actor())
        return pb.BatchUpdateAliasesResponse(aliases=change_messages.aliases_after(change))

    async def DeleteAlias(self, request: pb.DeleteAliasRequest, _: Context) -> empty_pb2.Empty:
        """Delete an alias."""
        removal = requests.alias_removal(request)
        decide = partial(delete_alias, removal=removal)
        await self._store.change(removal.model, decide, _actor())
        return empty_pb2.Empty()

    async def GetRoute(self, request: pb.GetRouteRequest, _: Context) -> route_pb2.Route:
        """Get a route."""
        model = parse_route(request.name)
        return convert.route_to_proto(model, find_route(await self._store.latest(), model))

    async def UpdateRoute(self, request: pb.UpdateRouteRequest, _: Context) -> route_pb2.Route:
        """Change a route."""
        edit = requests.route_edit(request)
        replicas = await self._replicas_with(edit.model)
        decide = partial(update_route, edit=edit, replicas=replicas)
        return change_messages.route_after(await self._store.change(edit.model, decide, _actor()))

    async def _replicas_with(self, model: str) -> list[ReplicaRecord]:
        """The replicas, and which versions of a model are ready there."""
        catalog, found = self._store.read(), await self._read_replicas(model)
        return [with_standby(without_others(replica, catalog), catalog, model) for replica in found]

    async def ListReplicas(
        self, request: pb.ListReplicasRequest, _: Context
    ) -> pb.ListReplicasResponse:
        """List replicas."""
        asked = requests.page(request, "replicas")
        model = requests.only_model(request)
        replicas = await (self._replicas_with(model) if model else self._read_replicas(""))
        found = {replica.id: replica for replica in replicas}

        def find(name: str) -> replica_pb2.Replica:
            return convert.replica_to_proto(self._sight.replica(found[name]))

        page = await take_page(sorted(found), find, asked, replica_pb2.Replica.ByteSize)
        return pb.ListReplicasResponse(replicas=page.items, next_page_token=page.next_token)

    async def WatchChanges(  # type: ignore[override]  # bytes go out
        self, request: pb.WatchChangesRequest, _: Context
    ) -> AsyncIterator[bytes]:
        """Stream changes, each message encoded already."""
        asked = replace(requests.watch(request), sees=self._sight.from_now_on())
        await self._store.latest()
        async for message in self._watches.watch(asked):
            yield message

    async def ListChanges(
        self, request: pb.ListChangesRequest, _: Context
    ) -> pb.ListChangesResponse:
        """List changes for those who audit them."""
        wanted, place = audit_messages.audit_filter(request), audit_messages.place_of(request)
        size = page_size(PageRequest("changes", request.page_size))
        page = await read_page(self._log, wanted, place, size, oldest_first=request.oldest_first)
        stored = request.with_stored and not request.model
        return audit_messages.page_to_proto(page, with_stored=stored)


def _actor() -> str:
    return callers.current_caller().actor
