"""Lists all that the registry has, to begin with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from headrace import errors
from headrace.client import methods, resource_messages
from headrace.client.methods import Method, Request
from headrace.client.resources import Model, Route, Version
from headrace.registry.v1 import model_pb2, registry_service_pb2, replica_pb2
from headrace.resource_names import model_resource, route_resource
from headrace_monitor.adapters.registry.calls import RegistryCalls
from headrace_monitor.domain.catalog.catalog import CatalogModel, Replicas, Snapshot, replicas_of
from headrace_monitor.domain.catalog.changes import MAX_MODELS, MAX_VERSIONS, assembled

AT_A_TIME = 16
"""Models that are asked about at a time; each takes three questions."""

PAGE_SIZE = 200
"""Messages are decoded on the event loop, so pages are small."""

Item = TypeVar("Item")
Message = TypeVar("Message")


class Point(NamedTuple):
    """A place in the registry's history, from which a watch goes on."""

    revision: int = 0
    epoch: str = ""
    hash: str = ""


class _Page(Protocol):
    next_page_token: str


PageOf = TypeVar("PageOf", bound=_Page)


async def list_catalog(calls: RegistryCalls) -> tuple[Snapshot, Point]:
    """All models with their parts, and where to watch from to miss nothing. Raises its errors."""
    protos, point, is_complete = await _models(calls)
    models = await asyncio.to_thread(_converted, resource_messages.model_from_proto, protos)
    places = asyncio.Semaphore(AT_A_TIME)

    async def one(model: Model) -> CatalogModel | None:
        async with places:
            return await _model(calls, model)

    found = [entry for entry in await _together([one(model) for model in models]) if entry]
    entries = {entry.model.name: entry for entry in found}
    return Snapshot(entries, revision=point.revision, is_complete=is_complete), point


async def _together(questions: Sequence[Coroutine[None, None, Item]]) -> list[Item]:
    """The answers to all; one error ends all, and is raised as it is."""
    failed: errors.HeadraceError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(question) for question in questions]
    except* errors.HeadraceError as failures:
        failed = _first(failures)
    if failed is not None:
        raise failed
    return [task.result() for task in tasks]


def _first(failures: BaseExceptionGroup[errors.HeadraceError]) -> errors.HeadraceError:
    one = failures.exceptions[0]
    return _first(one) if isinstance(one, BaseExceptionGroup) else one


async def _models(calls: RegistryCalls) -> tuple[list[model_pb2.Model], Point, bool]:
    request = registry_service_pb2.ListModelsRequest(page_size=PAGE_SIZE)
    found: list[model_pb2.Model] = []
    point = None
    while True:
        page = await calls.ask(methods.LIST_MODELS, request)
        point = point or Point(page.revision, page.epoch, page.hash)
        found += page.models
        request.page_token = page.next_page_token
        if not page.next_page_token or len(found) >= MAX_MODELS:
            is_complete = not page.next_page_token and len(found) <= MAX_MODELS
            return found[:MAX_MODELS], point, is_complete


async def list_model(calls: RegistryCalls, name: str) -> CatalogModel | None:
    """A model with its parts; None where there is none. Raises the registry's errors."""
    request = registry_service_pb2.GetModelRequest(name=model_resource(name))
    try:
        found = await calls.ask(methods.GET_MODEL, request)
    except errors.NotFound:
        return None
    return await _model(calls, resource_messages.model_from_proto(found))


async def _model(calls: RegistryCalls, model: Model) -> CatalogModel | None:
    """A model with its parts; None where it was deleted since it was listed."""
    name = model_resource(model.name)
    try:
        versions = await calls.ask(
            methods.LIST_VERSIONS,
            registry_service_pb2.ListVersionsRequest(parent=name, page_size=MAX_VERSIONS),
        )
        aliases = await calls.ask(
            methods.LIST_ALIASES,
            registry_service_pb2.ListAliasesRequest(parent=name, page_size=1000),
        )
        route = await _route(calls, model.name)
        listed = await asyncio.to_thread(
            _converted, resource_messages.version_from_proto, versions.versions
        )
        more = await _named(calls, model, listed, route) if versions.next_page_token else []
    except errors.NotFound:
        return None
    pointed = _converted(resource_messages.alias_from_proto, aliases.aliases)
    left_out = max(0, model.last_version - len(listed)) if versions.next_page_token else 0
    return assembled(model, [*listed, *more], pointed, route, left_out)


async def _named(
    calls: RegistryCalls, model: Model, listed: Sequence[Version], route: Route | None
) -> list[Version]:
    """The stable version and the one before, where they are older than those of the first page."""
    wanted = {route.stable, route.previous or route.stable} if route else set()
    wanted -= {version.number for version in listed}
    found = []
    for number in wanted:
        request = registry_service_pb2.GetVersionRequest(
            name=f"{model_resource(model.name)}/versions/{number}"
        )
        found.append(
            resource_messages.version_from_proto(await calls.ask(methods.GET_VERSION, request))
        )
    return found


async def _route(calls: RegistryCalls, model: str) -> Route | None:
    request = registry_service_pb2.GetRouteRequest(name=route_resource(model))
    try:
        found = await calls.ask(methods.GET_ROUTE, request)
    except errors.FailedPrecondition:  # it has no version yet
        return None
    return resource_messages.route_from_proto(found)


async def list_replicas(calls: RegistryCalls) -> Replicas:
    """The replicas that are there now, with what each holds. Raises the registry's errors."""
    protos = await pages(
        calls,
        methods.LIST_REPLICAS,
        registry_service_pb2.ListReplicasRequest(page_size=PAGE_SIZE),
        lambda page: page.replicas,
    )

    def converted() -> Replicas:
        return replicas_of(_converted(resource_messages.replica_from_proto, protos))

    return await asyncio.to_thread(converted) if _is_much(protos) else converted()


def _is_much(protos: Sequence[replica_pb2.Replica]) -> bool:
    return sum(len(proto.versions) for proto in protos) > 100


async def pages(
    calls: RegistryCalls,
    method: Method[Request, PageOf],
    request: Request,
    items: Callable[[PageOf], Iterable[Item]],
) -> list[Item]:
    """The items of all pages of a list."""
    found: list[Item] = []
    while True:
        page = await calls.ask(method, request)
        found += items(page)
        request.page_token = page.next_page_token  # type: ignore[attr-defined]  # every list has one
        if not page.next_page_token:
            return found


def _converted(convert: Callable[[Message], Item], protos: Iterable[Message]) -> list[Item]:
    return [convert(proto) for proto in protos]
