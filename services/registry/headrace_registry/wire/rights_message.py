"""All that decides, as parts of the suite are told it: pure functions."""

from __future__ import annotations

from collections.abc import Callable

from headrace.conversion.access import binding_to_proto, role_to_proto, watched_key_to_proto
from headrace.registry.v1 import access_service_pb2 as pb
from headrace.state.access_records import ApiKeyRecord, BindingRecord, RoleRecord
from headrace.state.catalog import Catalog
from headrace.state.record_collections import API_KEYS, BINDINGS, ROLES

PART = 4000
"""Records in a message: half a megabyte, where gRPC's clients take 4."""


def encode_rights(catalog: Catalog, part: int = PART) -> list[pb.WatchRightsResponse]:
    """The messages of all keys, roles and bindings."""
    records = [
        *map(_of_key, catalog.of(API_KEYS).values()),
        *map(_of_role, catalog.of(ROLES).values()),
        *map(_of_binding, catalog.of(BINDINGS).values()),
    ]
    messages = []
    for start in range(0, max(1, len(records)), part):
        message = pb.WatchRightsResponse(revision=catalog.revision)
        for put in records[start : start + part]:
            put(message)
        message.more = start + part < len(records)
        messages.append(message)
    return messages


Put = Callable[[pb.WatchRightsResponse], None]


def _of_key(key: ApiKeyRecord) -> Put:
    return lambda message: message.keys.append(watched_key_to_proto(key))


def _of_role(role: RoleRecord) -> Put:
    return lambda message: message.roles.append(role_to_proto(role))


def _of_binding(binding: BindingRecord) -> Put:
    return lambda message: message.bindings.append(binding_to_proto(binding))


def encode_rights_mark(revision: int) -> pb.WatchRightsResponse:
    """The message that says that nothing changed."""
    return pb.WatchRightsResponse(revision=revision, unchanged=True)
