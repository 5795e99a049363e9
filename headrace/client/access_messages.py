"""Messages of the registry's access service as what the client hands out, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from google.protobuf import duration_pb2, timestamp_pb2

from headrace import errors
from headrace.client.access_resources import (
    ApiKey,
    Binding,
    CallerInfo,
    CallLimits,
    Grant,
    NewApiKey,
    Role,
    Rule,
)
from headrace.client.answers import reading_an_answer
from headrace.conversion.times import seconds_to_proto, timestamp_from_proto
from headrace.registry.v1 import access_pb2, access_service_pb2

Grants = Mapping[str, Sequence[str]] | Sequence[str]
"""Roles, each with the patterns of the models that it is granted for; or roles for all models."""

_MAX_SECONDS = 10**10


@reading_an_answer()
def key_from_proto(proto: access_pb2.ApiKey) -> ApiKey:
    """A key from its message."""
    return ApiKey(
        id=proto.name.removeprefix("keys/"),
        subject=proto.subject,
        live=proto.live,
        created_at=timestamp_from_proto(proto.create_time),
        expires_at=_time(proto, "expire_time"),
        revoked=proto.revoked,
        created_by=proto.created_by,
        note=proto.note,
        last_used_on=_day(proto.last_use_day) if proto.HasField("last_use_day") else "",
    )


def new_key_from_proto(
    proto: access_service_pb2.CreateApiKeyResponse | access_service_pb2.RotateApiKeyResponse,
) -> NewApiKey:
    """A key with its secret from the message that tells it."""
    former = None
    if isinstance(proto, access_service_pb2.RotateApiKeyResponse):
        former = key_from_proto(proto.former)
    return NewApiKey(key_from_proto(proto.key), proto.secret, former)


@reading_an_answer()
def role_from_proto(proto: access_pb2.Role) -> Role:
    """A role from its message."""
    return Role(
        name=proto.name.removeprefix("roles/"),
        rules=tuple(Rule(tuple(rule.verbs), tuple(rule.models)) for rule in proto.rules),
        description=proto.description,
        built_in=proto.built_in,
        updated_at=_time(proto, "update_time"),
        etag=proto.etag,
    )


def role_to_proto(role: str, rules: Sequence[Rule], description: str, etag: str) -> access_pb2.Role:
    """The message of a role as it is to be."""
    return access_pb2.Role(
        name=f"roles/{role}",
        rules=[access_pb2.Rule(verbs=rule.verbs, models=rule.models) for rule in rules],
        description=description,
        etag=etag,
    )


@reading_an_answer()
def binding_from_proto(proto: access_pb2.Binding) -> Binding:
    """What a subject has, from its message."""
    return Binding(
        subject=proto.subject,
        grants=tuple(map(_grant, proto.grants)),
        limits=_limits(proto.limits),
        updated_at=_time(proto, "update_time"),
        etag=proto.etag,
    )


@reading_an_answer()
def caller_from_proto(proto: access_service_pb2.GetCallerResponse) -> CallerInfo:
    """Who calls, from the message."""
    return CallerInfo(
        subject=proto.subject,
        proof=proto.proof,
        detail=proto.detail,
        groups=tuple(proto.groups),
        expires_at=_time(proto, "expire_time"),
        rights={right.verb: tuple(right.models) for right in proto.rights},
        limits=_limits(proto.limits),
        grants=tuple(map(_grant, proto.grants)),
        enforced=proto.enforced,
    )


def grants_to_proto(grants: Grants) -> list[access_pb2.Grant]:
    """The messages of grants."""
    if isinstance(grants, Mapping):
        return [access_pb2.Grant(role=role, models=models) for role, models in grants.items()]
    return [access_pb2.Grant(role=role) for role in grants]


def limits_to_proto(limits: CallLimits) -> access_pb2.CallLimits:
    """The message of limits."""
    return access_pb2.CallLimits(
        requests_per_second=limits.requests_per_second,
        rows_per_second=limits.rows_per_second,
        in_flight=limits.in_flight,
    )


def duration_of(seconds: float | None, field: str) -> duration_pb2.Duration | None:
    """A duration; None for the default. Raises InvalidArgument (KEY_TIME_INVALID) for what is none."""
    if seconds is None:
        return None
    if not math.isfinite(seconds) or abs(seconds) > _MAX_SECONDS:
        raise errors.InvalidArgument(
            "KEY_TIME_INVALID", f"{field} is {seconds} seconds: give fewer"
        )
    return seconds_to_proto(seconds)


def _grant(proto: access_pb2.Grant) -> Grant:
    return Grant(proto.role.removeprefix("roles/"), tuple(proto.models))


def _limits(proto: access_pb2.CallLimits) -> CallLimits:
    return CallLimits(proto.requests_per_second, proto.rows_per_second, proto.in_flight)


def _time(
    proto: access_pb2.ApiKey
    | access_pb2.Role
    | access_pb2.Binding
    | access_service_pb2.GetCallerResponse,
    field: str,
) -> float:
    message: timestamp_pb2.Timestamp = getattr(proto, field)
    return timestamp_from_proto(message)  # 0 where it is absent


def _day(day: timestamp_pb2.Timestamp) -> str:
    return datetime.fromtimestamp(timestamp_from_proto(day), UTC).date().isoformat()
