"""Makes messages of `headrace.registry.v1` from changes: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from headrace.registry.v1 import alias_pb2, model_pb2, route_pb2, version_pb2
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.resource_names import model_of, parse_alias
from headrace.state.annotation_records import AnnotationRecord
from headrace.state.changes import Change, ChangedResource
from headrace.state.codec import encode_sparse
from headrace.state.record_collections import ANNOTATIONS, COLLECTIONS
from headrace_registry.wire.convert import (
    alias_to_proto,
    model_to_proto,
    route_to_proto,
    version_to_proto,
)


def model_after(change: Change) -> model_pb2.Model:
    """The model that a change made or changed."""
    return _model(change, change.resource)


def version_after(change: Change) -> version_pb2.Version:
    """The version that a push made."""
    return _version(change, change.resource)


def alias_after(change: Change) -> alias_pb2.Alias:
    """The alias that a change moved."""
    return _alias(change, change.resource)


def aliases_after(change: Change) -> list[alias_pb2.Alias]:
    """The aliases that a change moved."""
    moved = (each.resource for each in change.resources if each.kind == change.kind)
    return [_alias(change, resource) for resource in moved]


def route_after(change: Change) -> route_pb2.Route:
    """The route that a change made."""
    return _route(change, change.resource)


def change_to_proto(change: Change) -> pb.WatchChangesResponse:
    """A change as a watch tells it."""
    first, *further = change.resources
    return pb.WatchChangesResponse(
        revision=change.revision,
        kind=change.kind,
        resource=change.resource,
        actor=change.actor,
        proof=change.origin.proof,
        reason=change.origin.reason,
        further=[
            pb.ChangedResource(kind=each.kind, resource=each.resource, **_after(change, each))
            for each in further
        ],
        **_after(change, first),
    )


def _after(change: Change, touched: ChangedResource) -> dict[str, Any]:
    """The field with the resource after the change; none where it was deleted, or is not known here."""
    noun, _, done = touched.kind.partition(".")
    if done == "delete":
        return {}
    if noun in _AFTER:
        return {noun: _AFTER[noun](change, touched.resource)}
    collection = COLLECTIONS.of_noun(noun)
    record = collection and change.records.get(collection.name, {}).get(touched.resource)
    if collection is None or record is None:
        return {}
    text = encode_sparse(record).decode()
    return {"record": pb.StoredRecord(collection=collection.name, json=text)}


def _model(change: Change, resource: str) -> model_pb2.Model:
    return model_to_proto(change.model(model_of(resource)))


def _version(change: Change, resource: str) -> version_pb2.Version:
    collection, _, number = resource.rpartition("/")
    version = change.versions[f"{model_of(collection)}/{number}"]
    assert version is not None, "deleted"
    records = cast("Mapping[str, AnnotationRecord]", change.records.get(ANNOTATIONS.name, {}))
    return version_to_proto(version, records.get(f"{resource}/annotations"))


def _alias(change: Change, resource: str) -> alias_pb2.Alias:
    name, alias = parse_alias(resource)
    return alias_to_proto(name, alias, change.model(name).aliases[alias])


def _route(change: Change, resource: str) -> route_pb2.Route:
    name = model_of(resource)
    route = change.model(name).route
    assert route is not None
    return route_to_proto(name, route)


_AFTER: dict[str, Callable[[Change, str], Any]] = {
    "model": _model,
    "version": _version,
    "alias": _alias,
    "route": _route,
}
"""Resources that have messages of their own; those of all other collections are told as they are stored."""
