"""All that decides, as parts of the suite are told it: pure functions."""

from __future__ import annotations

from headrace.conversion.access import binding_to_proto, role_to_proto, watched_key_to_proto
from headrace.registry.v1 import access_service_pb2 as pb
from headrace.state.catalog import Catalog
from headrace.state.record_collections import API_KEYS, BINDINGS, ROLES


def encode_rights(catalog: Catalog) -> pb.WatchRightsResponse:
    """The message of all keys, roles and bindings."""
    return pb.WatchRightsResponse(
        revision=catalog.revision,
        keys=map(watched_key_to_proto, catalog.of(API_KEYS).values()),
        roles=[role_to_proto(role) for role in catalog.of(ROLES).values()],
        bindings=map(binding_to_proto, catalog.of(BINDINGS).values()),
    )


def encode_rights_mark(revision: int) -> pb.WatchRightsResponse:
    """The message that says that nothing changed."""
    return pb.WatchRightsResponse(revision=revision, unchanged=True)
