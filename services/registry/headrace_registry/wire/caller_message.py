"""Says who calls and what he may do: a pure function."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from headrace.conversion.access import grant_to_proto, limits_to_proto
from headrace.conversion.times import timestamp_to_proto
from headrace.registry.v1 import access_pb2
from headrace.registry.v1 import access_service_pb2 as pb
from headrace.security.callers import Caller
from headrace.security.policy import ALL_MODELS, BUILT_IN_ROLES, CallLimits, Policy
from headrace.security.verbs import Verb
from headrace.state.access_records import CallLimitsRecord, GrantRecord


def caller_to_proto(caller: Caller, policy: Policy, *, enforced: bool) -> pb.GetCallerResponse:
    """A caller as it is told to himself."""
    identity = caller.identity
    subjects = identity.subjects if identity.is_known else (caller.actor,)
    found = pb.GetCallerResponse(
        subject=identity.subject if identity.is_known else caller.actor,
        proof=identity.proof.value,
        detail=identity.detail,
        groups=identity.groups,
        enforced=enforced,
        limits=_limits(policy.limits_of(identity)),
        rights=_rights(policy, subjects) if enforced else _everything(),
        grants=_grants(policy, subjects),
    )
    if math.isfinite(identity.expires_at):
        found.expire_time.CopyFrom(timestamp_to_proto(identity.expires_at))
    return found


def _grants(policy: Policy, subjects: Iterable[str]) -> Iterator[access_pb2.Grant]:
    for subject in subjects:
        binding = policy.bindings.get(subject)
        for grant in binding.grants if binding else ():
            yield grant_to_proto(GrantRecord(grant.role, grant.models))


def _rights(policy: Policy, subjects: Iterable[str]) -> Iterator[pb.GetCallerResponse.Right]:
    for verb in Verb:
        models = dict.fromkeys(_models(policy, subjects, verb))
        if models:
            shown = [ALL_MODELS] if ALL_MODELS in models else sorted(models)
            yield pb.GetCallerResponse.Right(verb=verb.value, models=shown)


def _everything() -> Iterator[pb.GetCallerResponse.Right]:
    for verb in Verb:
        yield pb.GetCallerResponse.Right(verb=verb.value, models=[ALL_MODELS])


def _models(policy: Policy, subjects: Iterable[str], verb: Verb) -> Iterator[str]:
    """The patterns that a model has to fit, two of them joined where it has to fit both."""
    for subject in subjects:
        binding = policy.bindings.get(subject)
        for grant in binding.grants if binding else ():
            role = BUILT_IN_ROLES.get(grant.role) or policy.roles.get(grant.role)
            for rule in role.rules if role else ():
                if verb in rule.verbs:
                    yield from (_both(own, of) for own in grant.models for of in rule.models)


def _both(own: str, of: str) -> str:
    if own == of or of == ALL_MODELS:
        return own
    return of if own == ALL_MODELS else f"{own} & {of}"


def _limits(limits: CallLimits) -> access_pb2.CallLimits:
    return limits_to_proto(
        CallLimitsRecord(limits.requests_per_second, limits.rows_per_second, limits.in_flight)
    )
