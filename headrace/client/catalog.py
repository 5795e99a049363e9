"""The registry's models, versions and aliases, as a client calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar
from uuid import uuid4

from google.protobuf import field_mask_pb2
from google.protobuf.message import Message

from headrace.client import methods, resource_messages
from headrace.client.calls import Calls
from headrace.client.methods import Method, Request, Response
from headrace.client.resources import Alias, Model, Version
from headrace.conversion.gates import gate_to_proto
from headrace.registry.v1 import (
    alias_pb2,
    model_pb2,
    registry_service_pb2,
)
from headrace.resource_names import alias_resource, model_resource, version_resource
from headrace.state.gate_records import GateRecord

PAGE_SIZE = 1000

Item = TypeVar("Item")
Change = TypeVar("Change", bound=Message)


class _PageRequest(Protocol):
    page_size: int
    page_token: str


class _Page(Protocol):
    next_page_token: str


PageRequest = TypeVar("PageRequest", bound=_PageRequest)
PageOf = TypeVar("PageOf", bound=_Page)


class RegistryCalls:
    """The common base of the registry's client."""

    _calls: Calls

    async def _ask_registry(
        self, method: Method[Request, Response], request: Request, timeout_seconds: float | None
    ) -> Response:
        return await self._calls.unary("registry", method, request, timeout_seconds=timeout_seconds)

    async def _pages(
        self,
        method: Method[PageRequest, PageOf],
        request: PageRequest,
        items: Callable[[PageOf], Iterable[Item]],
        timeout_seconds: float | None,
    ) -> list[Item]:
        """The items of all pages of a list."""
        found: list[Item] = []
        request.page_size = PAGE_SIZE
        while True:
            page = await self._ask_registry(method, request, timeout_seconds)
            found += items(page)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found


class CatalogCalls(RegistryCalls):
    """Models, versions, aliases."""

    async def create_model(
        self,
        model: str,
        *,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        keep_latest: int | None = None,
        pinned: bool = False,
        protected: bool = False,
        gate: GateRecord | None = None,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> Model:
        """Create a model. Raises AlreadyExists."""
        proto = model_pb2.Model(
            name=model_resource(model),
            description=description,
            labels=labels,
            keep_latest=keep_latest,
            pinned=pinned,
            protected=protected,
            gate=gate_to_proto(gate) if gate else None,
        )
        request = registry_service_pb2.CreateModelRequest(
            model=proto, request_id=request_id or str(uuid4())
        )
        created = await self._ask_registry(methods.CREATE_MODEL, request, timeout_seconds)
        return resource_messages.model_from_proto(created)

    async def model(self, model: str, *, timeout_seconds: float | None = None) -> Model:
        """A model. Raises NotFound."""
        request = registry_service_pb2.GetModelRequest(name=model_resource(model))
        found = await self._ask_registry(methods.GET_MODEL, request, timeout_seconds)
        return resource_messages.model_from_proto(found)

    async def models(self, *, timeout_seconds: float | None = None) -> list[Model]:
        """All models, by name."""
        request = registry_service_pb2.ListModelsRequest()
        found = await self._pages(
            methods.LIST_MODELS, request, lambda page: page.models, timeout_seconds
        )
        return [resource_messages.model_from_proto(model) for model in found]

    async def update_model(
        self,
        model: str,
        *,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        keep_latest: int | None = None,
        pinned: bool | None = None,
        protected: bool | None = None,
        gate: GateRecord | None = None,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> Model:
        """Change what is given of a model, leave the rest; `GateRecord()` takes its gate away.

        Raises NotFound, Aborted, InvalidArgument (GATE_INVALID, MODEL_INVALID).
        """
        given = {
            "description": description,
            "labels": labels,
            "keep_latest": keep_latest,
            "pinned": pinned,
            "protected": protected,
            "gate": gate,
        }
        changed_fields = [name for name, value in given.items() if value is not None]
        if not changed_fields:  # an empty mask would stand for all fields
            return await self.model(model, timeout_seconds=timeout_seconds)
        proto = model_pb2.Model(
            name=model_resource(model),
            etag=etag,
            description=description or "",
            labels=labels,
            keep_latest=keep_latest or 0,
            pinned=bool(pinned),
            protected=bool(protected),
            gate=gate_to_proto(gate) if gate else None,
        )
        request = registry_service_pb2.UpdateModelRequest(
            model=proto, update_mask=field_mask_pb2.FieldMask(paths=changed_fields)
        )
        changed = await self._change(methods.UPDATE_MODEL, request, timeout_seconds)
        return resource_messages.model_from_proto(changed)

    async def revision(self, *, timeout_seconds: float | None = None) -> int:
        """The revision that the registry's state has now: where a watch may start."""
        request = registry_service_pb2.ListModelsRequest(page_size=1)
        page = await self._ask_registry(methods.LIST_MODELS, request, timeout_seconds)
        return int(page.revision)

    async def delete_model(
        self,
        model: str,
        *,
        force: bool = False,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> None:
        """Delete a model, with all its versions if forced.

        Raises NotFound, Aborted, FailedPrecondition (MODEL_HAS_VERSIONS, MODEL_PROTECTED).
        """
        request = registry_service_pb2.DeleteModelRequest(
            name=model_resource(model), force=force, etag=etag
        )
        await self._change(methods.DELETE_MODEL, request, timeout_seconds)

    async def version(
        self, model: str, number: int, *, timeout_seconds: float | None = None
    ) -> Version:
        """One version. Raises NotFound."""
        request = registry_service_pb2.GetVersionRequest(name=version_resource(model, number))
        found = await self._ask_registry(methods.GET_VERSION, request, timeout_seconds)
        return resource_messages.version_from_proto(found)

    async def versions(self, model: str, *, timeout_seconds: float | None = None) -> list[Version]:
        """A model's versions, newest first. Raises NotFound."""
        request = registry_service_pb2.ListVersionsRequest(parent=model_resource(model))
        found = await self._pages(
            methods.LIST_VERSIONS, request, lambda page: page.versions, timeout_seconds
        )
        return [resource_messages.version_from_proto(version) for version in found]

    async def delete_version(
        self, model: str, number: int, *, etag: str = "", timeout_seconds: float | None = None
    ) -> None:
        """Delete a version. Raises NotFound, Aborted, and FailedPrecondition while something names it."""
        request = registry_service_pb2.DeleteVersionRequest(
            name=version_resource(model, number), etag=etag
        )
        await self._change(methods.DELETE_VERSION, request, timeout_seconds)

    async def get_alias(
        self, model: str, alias: str, *, timeout_seconds: float | None = None
    ) -> Alias:
        """Return where an alias points. Raises NotFound."""
        request = registry_service_pb2.GetAliasRequest(name=alias_resource(model, alias))
        found = await self._ask_registry(methods.GET_ALIAS, request, timeout_seconds)
        return resource_messages.alias_from_proto(found)

    async def aliases(self, model: str, *, timeout_seconds: float | None = None) -> list[Alias]:
        """A model's aliases, by name. Raises NotFound."""
        request = registry_service_pb2.ListAliasesRequest(parent=model_resource(model))
        found = await self._pages(
            methods.LIST_ALIASES, request, lambda page: page.aliases, timeout_seconds
        )
        return [resource_messages.alias_from_proto(alias) for alias in found]

    async def alias(
        self,
        model: str,
        alias: str,
        version: int | str,
        *,
        etag: str = "",
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        allow_gate_failure: bool = False,
        timeout_seconds: float | None = None,
    ) -> Alias:
        """Point an alias at a version (a number, or what another alias names), creating it if need be.

        Raises NotFound, Aborted; FailedPrecondition for a version that would break callers of the alias
        (SIGNATURE_CHANGED), for one that no replica serves (VERSION_NOT_SERVED) and for one that does not
        pass the model's gate (GATE_NOT_PASSED), unless allowed.
        """
        number = await self.resolve(model, version, timeout_seconds=timeout_seconds)
        proto = alias_pb2.Alias(name=alias_resource(model, alias), version=number, etag=etag)
        request = registry_service_pb2.UpdateAliasRequest(
            alias=proto,
            allow_missing=not etag,
            allow_signature_change=allow_signature_change,
            allow_unready=allow_unready,
            allow_gate_failure=allow_gate_failure,
        )
        moved = await self._change(methods.UPDATE_ALIAS, request, timeout_seconds)
        return resource_messages.alias_from_proto(moved)

    async def set_aliases(
        self,
        model: str,
        versions: Mapping[str, int | str],
        *,
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        allow_gate_failure: bool = False,
        timeout_seconds: float | None = None,
    ) -> list[Alias]:
        """Point several aliases at versions in one change: all of them, or none where one is refused.

        `versions` has the number for each alias, or another alias that names it now. Raises as `alias`
        does, and InvalidArgument (ALIASES_INVALID) for none or over 1000.
        """
        moves = [
            registry_service_pb2.UpdateAliasRequest(
                alias=alias_pb2.Alias(
                    name=alias_resource(model, alias),
                    version=await self.resolve(model, version, timeout_seconds=timeout_seconds),
                ),
                allow_missing=True,
                allow_signature_change=allow_signature_change,
                allow_unready=allow_unready,
                allow_gate_failure=allow_gate_failure,
            )
            for alias, version in versions.items()
        ]
        request = registry_service_pb2.BatchUpdateAliasesRequest(
            parent=model_resource(model), requests=moves
        )
        moved = await self._change(methods.BATCH_UPDATE_ALIASES, request, timeout_seconds)
        return [resource_messages.alias_from_proto(alias) for alias in moved.aliases]

    async def delete_alias(
        self, model: str, alias: str, *, etag: str = "", timeout_seconds: float | None = None
    ) -> None:
        """Delete an alias. Raises NotFound, Aborted."""
        request = registry_service_pb2.DeleteAliasRequest(
            name=alias_resource(model, alias), etag=etag
        )
        await self._change(methods.DELETE_ALIAS, request, timeout_seconds)

    async def resolve(
        self, model: str, version: int | str, *, timeout_seconds: float | None = None
    ) -> int:
        """The number that a version's number or alias stands for now. Raises NotFound."""
        if isinstance(version, int) or version.isdecimal():
            return int(version)
        return (await self.get_alias(model, version, timeout_seconds=timeout_seconds)).version

    async def _change(
        self, method: Method[Change, Response], request: Change, timeout_seconds: float | None
    ) -> Response:
        """Make a change once: made twice it might undo what others did in between.

        One on condition of an etag may be repeated, since it is made once at most. Where an answer got
        lost, the repetition says Aborted, or NotFound of what was to be deleted: read again.
        """
        return await self._calls.unary(
            "registry",
            method,
            request,
            repeatable=_is_conditional(request),
            timeout_seconds=timeout_seconds,
        )


def _is_conditional(request: Message) -> bool:
    """Return whether the request, or the resource that it brings, has an etag."""
    resources = [value for field, value in request.ListFields() if field.message_type]
    return any(getattr(part, "etag", "") for part in (request, *resources))
