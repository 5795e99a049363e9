"""What is said of versions, read for callers of the console with their own credentials."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from headrace import errors
from headrace.client import methods
from headrace.client.annotation_messages import annotations_from_proto, found_from_proto
from headrace.client.annotation_resources import Attachment, VersionAnnotations
from headrace.client.reference_messages import reference_from_proto
from headrace.client.reference_resources import VersionReference
from headrace.client.resource_messages import version_from_proto
from headrace.client.resources import Version
from headrace.registry.v1 import annotation_service_pb2, reference_service_pb2, registry_service_pb2
from headrace.resource_names import (
    annotations_resource,
    model_resource,
    reference_resource,
    version_resource,
)
from headrace_monitor.adapters.registry.calls import RegistryCalls
from headrace_monitor.domain.catalog.annotated import FoundPage, VersionSearch
from headrace_monitor.domain.catalog.on_behalf import OnBehalf


class RegistryAnnotations:
    """Reads annotations, and the files among them, for callers. Raises the registry's errors."""

    def __init__(self, calls: RegistryCalls) -> None:
        self._calls = calls

    async def of(self, caller: OnBehalf, model: str, number: int) -> VersionAnnotations:
        """All that is said of a version."""
        request = annotation_service_pb2.GetAnnotationsRequest(
            name=annotations_resource(model, number)
        )
        found = await self._calls.ask_for(caller, methods.GET_ANNOTATIONS, request)
        return annotations_from_proto(found)

    async def version(self, caller: OnBehalf, model: str, number: int) -> Version:
        """A version."""
        request = registry_service_pb2.GetVersionRequest(name=version_resource(model, number))
        return version_from_proto(await self._calls.ask_for(caller, methods.GET_VERSION, request))

    async def reference(self, caller: OnBehalf, model: str, number: int) -> VersionReference | None:
        """The reference of a version's data; None where it has none."""
        request = reference_service_pb2.GetReferenceRequest(name=reference_resource(model, number))
        try:
            found = await self._calls.ask_for(caller, methods.GET_REFERENCE, request)
        except errors.NotFound:
            return None
        return reference_from_proto(found)

    async def search(self, caller: OnBehalf, search: VersionSearch) -> FoundPage:
        """A page of the versions for which a filter holds."""
        request = annotation_service_pb2.SearchVersionsRequest(
            parent=model_resource(search.model) if search.model else "",
            filter=search.filter,
            order_by=search.order_by,
            page_size=search.size,
            page_token=search.page,
        )
        page = await self._calls.ask_for(caller, methods.SEARCH_VERSIONS, request)
        return FoundPage(tuple(map(found_from_proto, page.found)), page.next_page_token)

    async def pieces(self, caller: OnBehalf, file: Attachment) -> AsyncGenerator[bytes, None]:
        """The bytes of an attachment, as they come."""
        request = registry_service_pb2.ReadBlobRequest(sha256=file.sha256)
        async with aclosing(self._calls.watch_for(caller, methods.READ_BLOB, request)) as messages:
            async for message in messages:
                yield message.chunk
