"""Changes as a watch tells them: encoded once, and delivered as bytes."""

from __future__ import annotations

from typing import Any

import grpc

from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2_grpc
from headrace.state.changes import EPOCH_BEGINS, Change
from headrace.state.history import Point
from headrace.state.record_collections import ACCESS
from headrace_registry.wire.change_messages import change_to_proto
from headrace_registry.wire.servicer import RegistryServicer

_SERVICE = pb.DESCRIPTOR.services_by_name["RegistryService"].full_name
_SECRET = frozenset(collection.name for collection in ACCESS)


def encode_change(change: Change, point: Point) -> bytes:
    """The message of a change; b'' for what is none of the catalog's, and where keys or rights changed.

    Whoever may read all models may not therefore see who else there is.
    """
    if change.kind == EPOCH_BEGINS or not _SECRET.isdisjoint(change.records):
        return b""
    message = change_to_proto(change)
    message.epoch, message.hash = point.epoch, point.hash
    return message.SerializeToString()


def encode_mark(point: Point) -> bytes:
    """The message that says how far a watch is."""
    return pb.WatchChangesResponse(
        revision=point.revision, epoch=point.epoch, hash=point.hash
    ).SerializeToString()


def add_to_server(servicer: RegistryServicer, server: grpc.aio.Server) -> None:
    """Serve the registry's methods; what WatchChanges yields is sent as it is."""
    watch: Any = grpc.unary_stream_rpc_method_handler(
        servicer.WatchChanges,
        request_deserializer=pb.WatchChangesRequest.FromString,
        response_serializer=None,
    )
    registry_service_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, server)
    server.add_registered_method_handlers(_SERVICE, {"WatchChanges": watch})
