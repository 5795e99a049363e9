"""Reads requests about annotations into the domain's nouns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from headrace import errors
from headrace.conversion.annotations import lineage_from_proto, metric_from_proto
from headrace.registry.v1 import annotation_pb2
from headrace.registry.v1 import annotation_service_pb2 as pb
from headrace.resource_names import parse_annotations
from headrace.state.annotation_records import Attachment, Lineage, Metric
from headrace_registry.domain.resources.annotation_edits import AnnotationEdit
from headrace_registry.domain.resources.annotations import (
    AttachmentRemoval,
    NewAttachment,
)
from headrace_registry.wire.digests import parse_digest
from headrace_registry.wire.streams import MAX_CHUNK_BYTES


def annotation_edit(request: pb.UpdateAnnotationsRequest) -> AnnotationEdit:
    """Return what to change. Raises InvalidArgument (ANNOTATIONS_INVALID) for nothing."""
    model, number = parse_annotations(request.name)
    named = {field.name for field, _ in request.ListFields()} - {"name", "etag"}
    if not named:
        raise errors.InvalidArgument(
            "ANNOTATIONS_INVALID",
            "the request changes nothing: set or remove tags or metrics, give a description or a lineage",
        )
    return AnnotationEdit(
        model,
        number,
        dict(request.set_tags),
        tuple(request.remove_tags),
        request.description if request.HasField("description") else None,
        tuple(map(_metric, request.set_metrics)),
        tuple(request.remove_metrics),
        _lineage(request.lineage) if request.HasField("lineage") else None,
        request.etag,
    )


def said_by_push(
    annotations: annotation_pb2.VersionAnnotations, model: str
) -> AnnotationEdit | None:
    """Return what a push says of its version, which has no number yet; None for nothing."""
    edit = AnnotationEdit(
        model,
        0,
        set_tags=dict(annotations.tags),
        description=annotations.description or None,
        set_metrics=tuple(map(_metric, annotations.metrics)),
        lineage=_lineage(annotations.lineage) if annotations.HasField("lineage") else None,
    )
    return edit if edit != AnnotationEdit(model, 0) else None


def _metric(proto: annotation_pb2.Metric) -> Metric:
    metric = metric_from_proto(proto)
    return replace(metric, data_digest=metric.data_digest.lower())


def _lineage(proto: annotation_pb2.Lineage) -> Lineage:
    lineage = lineage_from_proto(proto)
    return replace(lineage, data_digest=lineage.data_digest.lower())


def attachment_removal(request: pb.DeleteAttachmentRequest) -> AttachmentRemoval:
    """The attachment to take away."""
    return AttachmentRemoval(*parse_annotations(request.name), request.path, request.etag)


async def read_new_attachment(messages: AsyncIterator[pb.PutAttachmentRequest]) -> NewAttachment:
    """The announcement of an attachment. Raises InvalidArgument (ATTACHMENT_INVALID)."""
    first = await anext(messages, None)
    if first is None or not first.HasField("header"):
        raise _invalid("the first message must be its header")
    header = first.header
    digest = parse_digest(header.sha256, "header.sha256")
    told = header.attachment
    return NewAttachment(
        *parse_annotations(header.name),
        Attachment(told.path, told.media_type, header.size_bytes, digest),
        header.etag,
    )


async def read_chunks(messages: AsyncIterator[pb.PutAttachmentRequest]) -> AsyncIterator[bytes]:
    """The bytes after the header. Raises InvalidArgument (ATTACHMENT_INVALID, CHUNK_TOO_LARGE)."""
    async for message in messages:
        if not message.HasField("chunk"):
            raise _invalid("every message but the first must be a chunk")
        if len(message.chunk) > MAX_CHUNK_BYTES:
            raise errors.InvalidArgument(
                "CHUNK_TOO_LARGE",
                f"a chunk has {len(message.chunk)} bytes; up to {MAX_CHUNK_BYTES} are allowed",
            )
        yield message.chunk


def _invalid(what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument("ATTACHMENT_INVALID", f"the attachment is not valid: {what}")
