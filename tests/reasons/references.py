"""Refusals of references, by the reason that they are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from headrace.registry.v1 import reference_service_pb2 as pb
from headrace.registry.v1.reference_service_pb2_grpc import ReferenceServiceStub
from tests.reasons.exact import Told, told_by
from tests.reasons.registry import Refusal
from tests.rpc.registry_fixtures import RunningRegistry
from tests.rpc.test_registry_references import REJECT, reference

_PARENT = "models/digits/versions/1"
_NAME = f"{_PARENT}/reference"


def asking(method: str, **fields: Any) -> Callable[[RunningRegistry], Awaitable[Told]]:
    """A call with these fields of its request."""

    async def ask(running: RunningRegistry) -> Told:
        stub: Any = ReferenceServiceStub(running.channel)
        return await told_by(getattr(stub, method)(getattr(pb, f"{method}Request")(**fields)))

    return ask


async def too_large(running: RunningRegistry) -> Told:
    """A reference with many long labels."""
    large = reference()
    for number in range(500):
        field = large.layout.fields.add()
        field.CopyFrom(large.layout.fields[0])
        field.name = f"input x[{number}]"
        labels = [f"{place}".rjust(120) for place in range(64)]
        field.aspects["value"].MergeFrom(
            type(field.aspects["value"])(kind="KIND_LABELS", labels=labels)
        )
    stub: Any = ReferenceServiceStub(running.channel)
    return await told_by(stub.SetReference(pb.SetReferenceRequest(parent=_PARENT, reference=large)))


async def unlearnt(running: RunningRegistry) -> Told:
    """What is enforced of a field that there is not."""
    stub: Any = ReferenceServiceStub(running.channel)
    await stub.SetReference(pb.SetReferenceRequest(parent=_PARENT, reference=reference()))
    return await told_by(
        stub.UpdateEnforcement(pb.UpdateEnforcementRequest(name=_NAME, fields={"no": REJECT}))
    )


REFERENCES: tuple[Refusal, ...] = (
    Refusal("NotFound", "REFERENCE_NOT_FOUND", "GetReference", asking("GetReference", name=_NAME)),
    Refusal(
        "InvalidArgument",
        "REFERENCE_INVALID",
        "SetReference",
        asking("SetReference", parent=_PARENT),
    ),
    Refusal("ResourceExhausted", "REFERENCE_TOO_LARGE", "SetReference", too_large),
    Refusal("InvalidArgument", "ENFORCEMENT_INVALID", "UpdateEnforcement", unlearnt),
)
