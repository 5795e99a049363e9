"""Makes messages of the audit: pure functions."""

from __future__ import annotations

import math

from headrace import errors
from headrace.conversion.times import timestamp_from_proto, timestamp_to_proto
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.resource_names import model_resource, parse_model
from headrace.state.stored_changes import StoredChange
from headrace_registry.domain.history.audit import AuditFilter, AuditPage


def audit_filter(request: pb.ListChangesRequest) -> AuditFilter:
    """Which changes are looked for. Raises InvalidArgument."""
    return AuditFilter(
        resource=model_resource(parse_model(request.model)) if request.model else "",
        actor=request.actor,
        kind=request.kind,
        since=timestamp_from_proto(request.start_time) if request.HasField("start_time") else 0.0,
        until=timestamp_from_proto(request.end_time) if request.HasField("end_time") else math.inf,
    )


def place_of(request: pb.ListChangesRequest) -> int:
    """The revision at which the page goes on. Raises InvalidArgument (PAGE_TOKEN_INVALID)."""
    token = request.page_token
    if token and not (token.isascii() and token.isdigit()):
        raise errors.InvalidArgument(
            "PAGE_TOKEN_INVALID", "page_token is none that a page of this list gave"
        )
    return int(token or 0)


def page_to_proto(page: AuditPage, *, with_stored: bool) -> pb.ListChangesResponse:
    """A page of changes."""
    return pb.ListChangesResponse(
        changes=[_change_to_proto(change, with_stored=with_stored) for change in page.changes],
        next_page_token=str(page.next_revision or ""),
    )


def _change_to_proto(change: StoredChange, *, with_stored: bool) -> pb.LoggedChange:
    message = pb.LoggedChange(revision=change.revision, hash=change.hash)
    if with_stored:
        message.stored = change.entry
    if (head := change.head) is not None:
        origin = head.origin
        message.MergeFrom(
            pb.LoggedChange(
                create_time=timestamp_to_proto(head.at),
                kind=head.kind,
                resource=head.resource,
                further=[f"{each.kind} {each.resource}" for each in head.further],
                actor=head.actor,
                proof=origin.proof,
                claim=origin.claim,
                peer=origin.peer,
                request_id=origin.request_id,
                reason=origin.reason,
                previous_hash=head.previous_hash,
            )
        )
    return message
