"""The RPC methods of references: decode, call, encode."""

from __future__ import annotations

import grpc.aio
from google.protobuf import empty_pb2
from google.protobuf.message import Message

from headrace.conversion import timestamp_to_proto
from headrace.registry.v1 import reference_pb2, reference_service_pb2_grpc
from headrace.registry.v1 import reference_service_pb2 as pb
from headrace.resource_names import parse_reference
from headrace.security import callers
from headrace.state.changes import Change
from headrace.state.record_collections import REFERENCES
from headrace.state.reference_records import ReferenceRecord
from headrace.type.v1 import profile_pb2
from headrace_registry.domain.catalog_store import CatalogStore
from headrace_registry.domain.decisions.etags import etag_of
from headrace_registry.domain.references import References
from headrace_registry.domain.resources.references import find_reference
from headrace_registry.wire import reference_requests as requests

Context = grpc.aio.ServicerContext[Message, Message]

_SOURCES = {
    "samples": profile_pb2.Reference.SOURCE_SAMPLES,
    "traffic": profile_pb2.Reference.SOURCE_TRAFFIC,
    "version": profile_pb2.Reference.SOURCE_VERSION,
}
_ENFORCEMENTS = {
    "flag": profile_pb2.FieldSchema.ENFORCEMENT_FLAG,
    "reject": profile_pb2.FieldSchema.ENFORCEMENT_REJECT,
}


class ReferenceServicer(reference_service_pb2_grpc.ReferenceServiceServicer):
    """`headrace.registry.v1.ReferenceService`; its contract is in the proto."""

    def __init__(self, store: CatalogStore, references: References) -> None:
        self._store = store
        self._references = references

    async def SetReference(
        self, request: pb.SetReferenceRequest, _: Context
    ) -> reference_pb2.VersionReference:
        """Set a reference."""
        copied = requests.reference_copy(request)
        if copied is not None:
            return _after(await self._references.copy(copied, _actor()))
        return _after(await self._references.set(requests.new_reference(request), _actor()))

    async def GetReference(
        self, request: pb.GetReferenceRequest, _: Context
    ) -> reference_pb2.VersionReference:
        """Get a reference."""
        record = find_reference(await self._store.latest(), *parse_reference(request.name))
        if request.without_content:
            return _to_proto(record, profile_pb2.Reference())
        content = requests.read_content(await self._references.content(record))
        return _to_proto(record, content)

    async def DeleteReference(
        self, request: pb.DeleteReferenceRequest, _: Context
    ) -> empty_pb2.Empty:
        """Delete a reference."""
        await self._references.delete(requests.reference_removal(request), _actor())
        return empty_pb2.Empty()

    async def UpdateEnforcement(
        self, request: pb.UpdateEnforcementRequest, _: Context
    ) -> reference_pb2.VersionReference:
        """Change what is enforced."""
        edit = requests.enforcement_edit(request)
        return _after(await self._references.enforce(edit, requests.enforceable_fields, _actor()))


def _actor() -> str:
    return callers.current_caller().actor


def _after(change: Change) -> reference_pb2.VersionReference:
    record = change.records[REFERENCES.name][change.resource]
    assert isinstance(record, ReferenceRecord)
    return _to_proto(record, profile_pb2.Reference())


def _to_proto(
    record: ReferenceRecord, content: profile_pb2.Reference
) -> reference_pb2.VersionReference:
    """The record and the content as one message, which says of the content what only the record knows."""
    enforcement = {
        name: value
        for name, word in record.enforcement.items()
        if (value := _ENFORCEMENTS.get(word))
    }
    content.source = _SOURCES.get(record.source, profile_pb2.Reference.SOURCE_UNSPECIFIED)
    content.origin = record.origin
    content.create_time.CopyFrom(timestamp_to_proto(record.created_at))
    if content.HasField("layout"):
        content.layout.reference = content.profile.reference = record.sha256
    for name, value in enforcement.items():
        if name in content.schema:
            content.schema[name].enforcement = value
    return reference_pb2.VersionReference(
        name=record.name,
        reference=content,
        digest=record.sha256,
        size_bytes=record.size_bytes,
        rows=record.rows,
        fields=record.fields,
        enforcement=enforcement,
        update_time=timestamp_to_proto(record.updated_at),
        etag=etag_of(record.revision),
    )
