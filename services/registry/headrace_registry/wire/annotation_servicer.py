"""The RPC methods of annotations: decode, call, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

import grpc.aio
from google.protobuf.message import Message

from headrace.registry.v1 import annotation_pb2, annotation_service_pb2_grpc
from headrace.registry.v1 import annotation_service_pb2 as pb
from headrace.resource_names import parse_annotations
from headrace.security import callers
from headrace.security.access import OPEN_ACCESS, Access
from headrace_registry.domain.annotations import Annotations
from headrace_registry.domain.catalog_store import CatalogStore
from headrace_registry.domain.pushes.uploads import Upload
from headrace_registry.domain.resources.annotations import find_annotations
from headrace_registry.domain.searches.search import find_versions
from headrace_registry.wire import annotation_requests as requests
from headrace_registry.wire.annotation_convert import annotations_after, annotations_to_proto
from headrace_registry.wire.searching import found_to_proto, search_of
from headrace_registry.wire.sight import Sight

Context = grpc.aio.ServicerContext[Message, Message]


class AnnotationServicer(annotation_service_pb2_grpc.AnnotationServiceServicer):
    """`headrace.registry.v1.AnnotationService`; its contract is in the proto."""

    def __init__(
        self,
        store: CatalogStore,
        annotations: Annotations,
        uploading: Callable[[], AbstractContextManager[Upload]],
        clock: Callable[[], float],
        access: Access = OPEN_ACCESS,
    ) -> None:
        self._store = store
        self._annotations = annotations
        self._uploading = uploading
        self._clock = clock
        self._sight = Sight(access)

    async def GetAnnotations(
        self, request: pb.GetAnnotationsRequest, _: Context
    ) -> annotation_pb2.VersionAnnotations:
        """Get what is said of a version."""
        model, number = parse_annotations(request.name)
        return annotations_to_proto(find_annotations(await self._store.latest(), model, number))

    async def UpdateAnnotations(
        self, request: pb.UpdateAnnotationsRequest, _: Context
    ) -> annotation_pb2.VersionAnnotations:
        """Change what is said of a version."""
        edit = requests.annotation_edit(request)
        return annotations_after(await self._annotations.update(edit, _actor()))

    async def PutAttachment(
        self, messages: AsyncIterator[pb.PutAttachmentRequest], _: Context
    ) -> annotation_pb2.VersionAnnotations:
        """Put a file to a version."""
        with self._uploading() as upload:
            new = await upload.wait(requests.read_new_attachment(messages))
            chunks = requests.read_chunks(messages)
            return annotations_after(await self._annotations.put(new, upload, chunks, _actor()))

    async def DeleteAttachment(
        self, request: pb.DeleteAttachmentRequest, _: Context
    ) -> annotation_pb2.VersionAnnotations:
        """Take a file of a version away."""
        removal = requests.attachment_removal(request)
        return annotations_after(await self._annotations.delete(removal, _actor()))

    async def SearchVersions(
        self, request: pb.SearchVersionsRequest, _: Context
    ) -> pb.SearchVersionsResponse:
        """Search versions."""
        search, catalog = search_of(request), await self._store.latest()
        page = await find_versions(catalog, search, self._sight.models(), self._clock())
        return await found_to_proto(search, page)


def _actor() -> str:
    return callers.current_caller().actor
