"""Annotations of versions, as a client of the registry changes and reads them."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from collections.abc import Iterable, Iterator, Mapping

from headrace import errors
from headrace.client import methods
from headrace.client.annotation_messages import Metrics, annotations_from_proto, metrics_to_proto
from headrace.client.annotation_resources import Lineage, VersionAnnotations
from headrace.client.calls import finished
from headrace.client.methods import Undecodable
from headrace.client.pulling import PullCalls
from headrace.client.push import pause_for_room
from headrace.conversion.annotations import lineage_to_proto
from headrace.registry.v1 import annotation_pb2
from headrace.registry.v1 import annotation_service_pb2 as pb
from headrace.resource_names import annotations_resource

CHUNK_BYTES = 1 << 20


class AnnotationCalls(PullCalls):
    """What people and tools say of versions: tags, metrics, lineage, attachments."""

    async def annotations(
        self, model: str, version: int | str, *, timeout_seconds: float | None = None
    ) -> VersionAnnotations:
        """All that is said of a version, by its number or an alias. Raises NotFound."""
        number = await self.resolve(model, version, timeout_seconds=timeout_seconds)
        request = pb.GetAnnotationsRequest(name=annotations_resource(model, number))
        found = await self._ask_registry(methods.GET_ANNOTATIONS, request, timeout_seconds)
        return annotations_from_proto(found)

    async def annotate(
        self,
        model: str,
        version: int | str,
        *,
        tags: Mapping[str, str] | None = None,
        remove_tags: Iterable[str] = (),
        description: str | None = None,
        metrics: Metrics = (),
        remove_metrics: Iterable[str] = (),
        lineage: Lineage | None = None,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionAnnotations:
        """Change what is given of what is said of a version, in one change, and leave the rest.

        Things are taken away first, then set; a metric takes the place of the one with its name, slice
        and data digest, a lineage that of the whole one. Raises NotFound, InvalidArgument
        (ANNOTATIONS_INVALID), ResourceExhausted (ANNOTATIONS_TOO_LARGE), Aborted on another etag.
        """
        number = await self.resolve(model, version, timeout_seconds=timeout_seconds)
        request = pb.UpdateAnnotationsRequest(
            name=annotations_resource(model, number),
            set_tags=tags,
            remove_tags=remove_tags,
            description=description,
            set_metrics=metrics_to_proto(metrics),
            remove_metrics=remove_metrics,
            lineage=None if lineage is None else lineage_to_proto(lineage),
        )
        if len(request.ListFields()) == 1:  # it says the name alone
            return await self.annotations(model, number, timeout_seconds=timeout_seconds)
        request.etag = etag
        changed = await self._change(methods.UPDATE_ANNOTATIONS, request, timeout_seconds)
        return annotations_from_proto(changed)

    async def attach(
        self,
        model: str,
        version: int | str,
        path: str,
        data: bytes,
        *,
        media_type: str = "",
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionAnnotations:
        """Put a file to a version, in the place of the one at its path.

        Its media type is by default what its path looks like. Raises NotFound, Aborted, InvalidArgument
        (ATTACHMENT_INVALID), ResourceExhausted (ATTACHMENT_TOO_LARGE, ANNOTATIONS_TOO_LARGE).
        """
        settings = self._calls.settings
        total = settings.push_timeout_seconds if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + total
        number = await self.resolve(model, version, timeout_seconds=timeout_seconds)
        header = pb.PutAttachmentRequest.Header(
            name=annotations_resource(model, number),
            attachment=annotation_pb2.Attachment(
                path=path, media_type=media_type or _media_type(path)
            ),
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            etag=etag,
        )
        return annotations_from_proto(await self._put(header, data, deadline))

    async def attachment(
        self, model: str, version: int | str, path: str, *, timeout_seconds: float | None = None
    ) -> bytes:
        """The bytes of a file that was put to a version.

        Raises NotFound (ATTACHMENT_NOT_FOUND, and as of versions), DataLoss (BLOB_DAMAGED).
        """
        settings = self._calls.settings
        total = settings.push_timeout_seconds if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + total
        said = await self.annotations(model, version, timeout_seconds=timeout_seconds)
        found = said.attachment(path)
        if found is None:
            raise _not_found(said, path)
        out = io.BytesIO()
        await self._read_blob(found.file, out, deadline)
        data = out.getvalue()
        if hashlib.sha256(data).hexdigest() != found.sha256:
            raise errors.DataLoss(
                "BLOB_DAMAGED",
                f"{path} arrived with other bytes than were attached: attach it again",
            )
        return data

    async def detach(
        self,
        model: str,
        version: int | str,
        path: str,
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionAnnotations:
        """Take a file away that was put to a version. Raises NotFound (ATTACHMENT_NOT_FOUND), Aborted."""
        number = await self.resolve(model, version, timeout_seconds=timeout_seconds)
        request = pb.DeleteAttachmentRequest(
            name=annotations_resource(model, number), path=path, etag=etag
        )
        changed = await self._change(methods.DELETE_ATTACHMENT, request, timeout_seconds)
        return annotations_from_proto(changed)

    async def _put(
        self, header: pb.PutAttachmentRequest.Header, data: bytes, deadline: float
    ) -> annotation_pb2.VersionAnnotations:
        """Send it until there is room for it. Sent twice it is there once."""

        async def attempt(
            address: str, seconds: float
        ) -> annotation_pb2.VersionAnnotations | Undecodable:
            put = self._calls.upload(methods.PUT_ATTACHMENT, address)
            parts, metadata = _parts(header, data), self._calls.metadata()
            return await finished(put.future(parts, timeout=seconds, metadata=metadata))

        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                return await self._calls.call(
                    "registry", attempt, repeatable=True, timeout_seconds=left
                )
            except errors.ResourceExhausted as error:
                pause = pause_for_room(error, deadline - time.monotonic())
                if pause is None:
                    raise
                await asyncio.sleep(pause)


def _parts(
    header: pb.PutAttachmentRequest.Header, data: bytes
) -> Iterator[pb.PutAttachmentRequest]:
    yield pb.PutAttachmentRequest(header=header)
    for start in range(0, len(data), CHUNK_BYTES):
        yield pb.PutAttachmentRequest(chunk=data[start : start + CHUNK_BYTES])


def _media_type(path: str) -> str:
    import mimetypes

    return {".md": "text/markdown", ".yaml": "application/yaml", ".jsonl": "application/jsonl"}.get(
        path[path.rfind(".") :].lower(), mimetypes.guess_type(path)[0] or "application/octet-stream"
    )


def _not_found(said: VersionAnnotations, path: str) -> errors.NotFound:
    there = ", ".join(each.path for each in said.attachments[:5]) or "none"
    return errors.NotFound(
        "ATTACHMENT_NOT_FOUND",
        f"version {said.version} of {said.model!r} has no attachment {path[:200]!r}: it has {there}",
        facts={"model": said.model, "version": str(said.version)},
    )
