"""Refusals of annotations, by the reason that they are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from headrace.registry.v1 import annotation_service_pb2 as pb
from headrace.registry.v1.annotation_service_pb2_grpc import AnnotationServiceStub
from tests.reasons.exact import Told, told_by
from tests.reasons.registry import Refusal
from tests.rpc.registry_fixtures import RunningRegistry
from tests.rpc.test_registry_annotations import NAME, TOO_LARGE, put


def asking(method: str, **fields: Any) -> Callable[[RunningRegistry], Awaitable[Told]]:
    """A call with these fields of its request."""

    async def ask(running: RunningRegistry) -> Told:
        stub: Any = AnnotationServiceStub(running.channel)
        request = getattr(pb, f"{method}Request")(name=NAME, **fields)
        return await told_by(getattr(stub, method)(request))

    return ask


def searching(**fields: Any) -> Callable[[RunningRegistry], Awaitable[Told]]:
    """A search with these fields of its request."""

    async def ask(running: RunningRegistry) -> Told:
        stub: Any = AnnotationServiceStub(running.channel)
        return await told_by(stub.SearchVersions(pb.SearchVersionsRequest(**fields)))

    return ask


def putting(**header: Any) -> Callable[[RunningRegistry], Awaitable[Told]]:
    """An attachment that is announced so."""

    async def ask(running: RunningRegistry) -> Told:
        return await told_by(put(running, **header))

    return ask


ANNOTATIONS: tuple[Refusal, ...] = (
    Refusal("InvalidArgument", "FILTER_INVALID", "SearchVersions", searching(filter="a >")),
    Refusal("InvalidArgument", "ORDER_INVALID", "SearchVersions", searching(order_by="tags")),
    Refusal(
        "InvalidArgument", "ANNOTATIONS_INVALID", "UpdateAnnotations", asking("UpdateAnnotations")
    ),
    Refusal(
        "InvalidArgument",
        "TIME_INVALID",
        "UpdateAnnotations",
        asking("UpdateAnnotations", set_metrics=[{"name": "a", "measure_time": {"nanos": -1}}]),
    ),
    Refusal(
        "ResourceExhausted",
        "ANNOTATIONS_TOO_LARGE",
        "UpdateAnnotations",
        asking("UpdateAnnotations", **TOO_LARGE["tags"]),
    ),
    Refusal("InvalidArgument", "ATTACHMENT_INVALID", "PutAttachment", putting(path="../card.md")),
    Refusal(
        "ResourceExhausted",
        "ATTACHMENT_TOO_LARGE",
        "PutAttachment",
        putting(size_bytes=(16 << 20) + 1),
    ),
    Refusal(
        "NotFound",
        "ATTACHMENT_NOT_FOUND",
        "DeleteAttachment",
        asking("DeleteAttachment", path="card.md"),
    ),
)
