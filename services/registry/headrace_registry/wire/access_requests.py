"""Reads requests about access into the domain's nouns: syntax is checked here, meaning in the domain."""

from __future__ import annotations

from google.protobuf import duration_pb2
from google.protobuf.message import Message

from headrace import errors
from headrace.access_names import (
    check_grants,
    check_key_subject,
    check_note,
    check_subject,
    parse_key,
    parse_role,
)
from headrace.conversion.access import grant_from_proto, limits_from_proto, role_from_proto
from headrace.registry.v1 import access_pb2
from headrace.registry.v1 import access_service_pb2 as pb
from headrace.security.api_keys import digest_of, id_of
from headrace.state.access_records import GrantRecord
from headrace_registry.domain.resources.api_keys import KeyRotation, NewApiKey
from headrace_registry.domain.resources.bindings import BindingEdit, GrantRemoval, NewGrant
from headrace_registry.domain.resources.roles import RoleEdit, RoleRemoval

DEFAULT_OVERLAP_SECONDS = 86_400.0
MAX_OVERLAP_SECONDS = 30 * 86_400.0
MAX_TTL_SECONDS = 100 * 366 * 86_400.0


def new_key(request: pb.CreateApiKeyRequest, secret: str) -> NewApiKey:
    """The key to make of a secret."""
    return NewApiKey(
        id=id_of(secret),
        subject=check_key_subject(request.key.subject),
        digest=digest_of(secret),
        ttl_seconds=_ttl(request),
        note=check_note(request.key.note, "key.note"),
        grants=_grants(request.grants),
    )


def rotation(request: pb.RotateApiKeyRequest, secret: str) -> KeyRotation:
    """The key to make in the place of another."""
    overlap = DEFAULT_OVERLAP_SECONDS
    if request.HasField("overlap"):
        overlap = _seconds(request.overlap, "overlap", 0.0, MAX_OVERLAP_SECONDS)
    former = parse_key(request.name)
    return KeyRotation(former, id_of(secret), digest_of(secret), overlap, _ttl(request))


def role_edit(role: access_pb2.Role, *, allow_missing: bool = False) -> RoleEdit:
    """All of a role as it is to be."""
    record = role_from_proto(role)
    return RoleEdit(record.id, record.rules, record.description, role.etag, allow_missing)


def role_removal(request: pb.DeleteRoleRequest) -> RoleRemoval:
    """The role to delete."""
    return RoleRemoval(parse_role(request.name), request.etag)


def binding_edit(request: pb.UpdateBindingRequest) -> BindingEdit:
    """All that a subject is to have."""
    binding = request.binding
    return BindingEdit(
        check_subject(binding.subject),
        _grants(binding.grants),
        limits_from_proto(binding.limits),
        binding.etag,
    )


def new_grant(request: pb.GrantRoleRequest) -> NewGrant:
    """What a subject is to get. Raises InvalidArgument (ROLE_INVALID) for nothing."""
    if not request.HasField("grant") and not request.HasField("limits"):
        what = "neither a role nor limits are given"
        violation = errors.FieldViolation("grant", what)
        raise errors.InvalidArgument("ROLE_INVALID", what, violations=(violation,))
    return NewGrant(
        check_subject(request.subject),
        grant_from_proto(request.grant) if request.HasField("grant") else None,
        limits_from_proto(request.limits) if request.HasField("limits") else None,
    )


def grant_removal(request: pb.RevokeRoleRequest) -> GrantRemoval:
    """The role to take from a subject."""
    return GrantRemoval(check_subject(request.subject), parse_role(request.role))


def _grants(protos: object) -> tuple[GrantRecord, ...]:
    given: list[access_pb2.Grant] = list(protos)  # type: ignore[call-overload]  # protobuf's container
    return check_grants(GrantRecord(each.role, tuple(each.models)) for each in given)


def _ttl(request: pb.CreateApiKeyRequest | pb.RotateApiKeyRequest) -> float:
    message: Message = request
    if not message.HasField("ttl"):
        return 0.0
    return _seconds(request.ttl, "ttl", 1.0, MAX_TTL_SECONDS)


def _seconds(duration: duration_pb2.Duration, field: str, least: float, most: float) -> float:
    seconds = duration.seconds + duration.nanos / 1e9
    if not least <= seconds <= most:
        what = f"{seconds:g} seconds; it must be {least:g} to {most:g}"
        raise errors.InvalidArgument(
            "KEY_TIME_INVALID",
            f"{field} is {what}",
            violations=(errors.FieldViolation(field, what),),
        )
    return seconds
