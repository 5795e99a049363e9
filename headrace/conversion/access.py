"""Roles, grants, limits and bindings as messages, and back."""

from __future__ import annotations

from headrace.access_names import (
    check_grants,
    check_limits,
    check_note,
    check_rules,
    parse_role,
)
from headrace.conversion.times import timestamp_from_proto, timestamp_to_proto
from headrace.registry.v1 import access_pb2, access_service_pb2
from headrace.state.access_records import (
    KEY_PREFIX,
    ROLE_PREFIX,
    ApiKeyRecord,
    BindingRecord,
    CallLimitsRecord,
    GrantRecord,
    RoleRecord,
    RuleRecord,
)


def grant_to_proto(grant: GrantRecord) -> access_pb2.Grant:
    """A grant as its message."""
    return access_pb2.Grant(role=f"{ROLE_PREFIX}{grant.role}", models=grant.models)


def grant_from_proto(proto: access_pb2.Grant) -> GrantRecord:
    """A grant from its message. Raises InvalidArgument (ROLE_INVALID)."""
    return check_grants([GrantRecord(proto.role, tuple(proto.models))])[0]


def limits_to_proto(limits: CallLimitsRecord) -> access_pb2.CallLimits:
    """Limits as their message."""
    return access_pb2.CallLimits(
        requests_per_second=limits.requests_per_second,
        rows_per_second=limits.rows_per_second,
        in_flight=limits.in_flight,
    )


def limits_from_proto(proto: access_pb2.CallLimits) -> CallLimitsRecord:
    """Limits from their message. Raises InvalidArgument (LIMITS_INVALID)."""
    return check_limits(
        CallLimitsRecord(proto.requests_per_second, proto.rows_per_second, proto.in_flight)
    )


def role_to_proto(role: RoleRecord, *, built_in: bool = False) -> access_pb2.Role:
    """A role as its message."""
    proto = access_pb2.Role(
        name=role.name,
        rules=[access_pb2.Rule(verbs=rule.verbs, models=rule.models) for rule in role.rules],
        description=role.description,
        built_in=built_in,
    )
    if not built_in:
        proto.update_time.CopyFrom(timestamp_to_proto(role.updated_at))
        proto.etag = str(role.revision)
    return proto


def role_from_proto(proto: access_pb2.Role, *, check: bool = True) -> RoleRecord:
    """A role from its message. Raises InvalidArgument (ROLE_INVALID, DESCRIPTION_TOO_LONG)."""
    rules = tuple(RuleRecord(tuple(rule.verbs), tuple(rule.models)) for rule in proto.rules)
    if not check:
        return RoleRecord(proto.name.removeprefix(ROLE_PREFIX), rules, proto.description)
    description = check_note(proto.description, "role.description")
    return RoleRecord(parse_role(proto.name), check_rules(rules), description)


def binding_to_proto(binding: BindingRecord) -> access_pb2.Binding:
    """What a subject has, as its message."""
    return access_pb2.Binding(
        subject=binding.subject,
        grants=map(grant_to_proto, binding.grants),
        limits=limits_to_proto(binding.limits),
        update_time=timestamp_to_proto(binding.updated_at),
        etag=str(binding.revision),
    )


def binding_from_proto(proto: access_pb2.Binding) -> BindingRecord:
    """What a subject has, from a message of the registry."""
    grants = tuple(
        GrantRecord(grant.role.removeprefix(ROLE_PREFIX), tuple(grant.models))
        for grant in proto.grants
    )
    limits = proto.limits
    return BindingRecord(
        proto.subject,
        grants,
        CallLimitsRecord(limits.requests_per_second, limits.rows_per_second, limits.in_flight),
    )


def watched_key_to_proto(key: ApiKeyRecord) -> access_service_pb2.WatchRightsResponse.Key:
    """A key as it is told to parts of the suite."""
    proto = access_service_pb2.WatchRightsResponse.Key(
        id=key.id, subject=key.subject, digest=key.digest, revoked=key.disabled
    )
    if key.expires_at:
        proto.expire_time.CopyFrom(timestamp_to_proto(key.expires_at))
    return proto


def watched_key_from_proto(proto: access_service_pb2.WatchRightsResponse.Key) -> ApiKeyRecord:
    """The same from its message."""
    ends = timestamp_from_proto(proto.expire_time) if proto.HasField("expire_time") else 0.0
    return ApiKeyRecord(proto.id, proto.subject, proto.digest, 0.0, ends, proto.revoked)


def key_to_proto(key: ApiKeyRecord, now: float, used_day: int | None = None) -> access_pb2.ApiKey:
    """A key as it is listed; `used_day` in days since the epoch."""
    proto = access_pb2.ApiKey(
        name=f"{KEY_PREFIX}{key.id}",
        subject=key.subject,
        create_time=timestamp_to_proto(key.created_at),
        revoked=key.disabled,
        created_by=key.created_by,
        note=key.note,
        live=key.is_live(now),
    )
    if key.expires_at:
        proto.expire_time.CopyFrom(timestamp_to_proto(key.expires_at))
    if used_day is not None:
        proto.last_use_day.CopyFrom(timestamp_to_proto(used_day * 86_400.0))
    return proto
