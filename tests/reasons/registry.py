"""Refusals of the registry, by the reason that they are told: each is brought about on one that serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from headrace.registry.v1 import registry_service_pb2 as pb
from tests.reasons.exact import Told, told_by
from tests.rpc.registry_fixtures import RunningRegistry, onnx_file, push
from tests.rpc.test_registry_catalog import INVALID
from tests.rpc.test_registry_push import REFUSED


class Refusal(NamedTuple):
    """A reason, its class, the method that tells it, and what asks for it."""

    kind: str
    reason: str
    method: str
    ask: Callable[[RunningRegistry], Awaitable[Told]]


def calling(method: str, fields: Mapping[str, Any]) -> Callable[[RunningRegistry], Awaitable[Told]]:
    """A call with these fields of its request."""

    async def ask(running: RunningRegistry) -> Told:
        request = getattr(pb, f"{method}Request")(**fields)
        return await told_by(getattr(running.stub, method)(request))

    return ask


def pushing(
    filename: str, artifact: bytes, header: Mapping[str, Any]
) -> Callable[[RunningRegistry], Awaitable[Told]]:
    """A push."""

    async def ask(running: RunningRegistry) -> Told:
        return await told_by(push(running, artifact, filename=filename, header=header))

    return ask


def sending(*messages: Any) -> Callable[[RunningRegistry], Awaitable[Told]]:
    """A push of these messages."""

    async def ask(running: RunningRegistry) -> Told:
        return await told_by(running.stub.PushVersion(iter(messages)))

    return ask


async def talking(running: RunningRegistry) -> Told:
    """A change with a reason of two lines."""
    request = pb.CreateModelRequest(model={"name": "models/talking"})
    why = [("headrace-reason", "one%0Atwo")]
    return await told_by(running.stub.CreateModel(request, metadata=why))


async def reusing(running: RunningRegistry) -> Told:
    """Two creates of one request id, the first of which is made."""
    request_id = str(uuid4())
    first, second = (
        pb.CreateModelRequest(model={"name": f"models/{name}"}, request_id=request_id)
        for name in ("one", "two")
    )
    await running.stub.CreateModel(first)
    return await told_by(running.stub.CreateModel(second))


async def malformed(running: RunningRegistry) -> Told:
    """Bytes that are no message."""
    call: Any = running.channel.unary_unary("/headrace.registry.v1.RegistryService/GetModel")
    return await told_by(call(b"\xff\xff"))


_HEADER: dict[str, Any] = {
    "parent": "models/digits",
    "filename": "m.onnx",
    "size_bytes": 6 << 20,
    "sha256": "0" * 64,
}
HEADER = pb.PushVersionRequest(header=_HEADER)
UNSIGNED = pb.PushVersionRequest(header={**_HEADER, "signature_bundle": "{}"})
_ROUTE = "models/digits/route"

_KINDS = {
    "MODEL_NOT_FOUND": "NotFound",
    "VERSION_NOT_FOUND": "NotFound",
    "MODEL_HAS_NO_VERSION": "FailedPrecondition",
    "REVISION_UNKNOWN": "OutOfRange",
    "ARCHIVE_TOO_MANY_FILES": "ResourceExhausted",
    "ARCHIVE_TOO_LARGE": "ResourceExhausted",
    "ARTIFACT_TOO_LARGE": "ResourceExhausted",
    "ARCHIVE_EXPANDS_TOO_MUCH": "ResourceExhausted",
    "CUSTOM_OPERATORS_UNAVAILABLE": "FailedPrecondition",
}
"""All others of the tables that are taken over are wrong arguments."""


async def changing(running: RunningRegistry) -> Told:
    """A version that takes something else than the stable one."""
    await push(running, onnx_file(batch=3))
    route = {"name": _ROUTE, "stable_version": 2}
    return await told_by(running.stub.UpdateRoute(pb.UpdateRouteRequest(route=route)))


async def failing(running: RunningRegistry) -> Told:
    """An alias for a version that nobody measured, of a model with a gate."""
    gate = {"require": ["accuracy > 0.9"], "aliases": ["guarded"]}
    model = {"name": "models/digits", "gate": gate}
    await running.stub.UpdateModel(
        pb.UpdateModelRequest(model=model, update_mask={"paths": ["gate"]})
    )
    alias = {"name": "models/digits/aliases/guarded", "version": 1}
    request = pb.UpdateAliasRequest(alias=alias, allow_missing=True)
    return await told_by(running.stub.UpdateAlias(request))


async def protecting(running: RunningRegistry) -> Told:
    """The end of a model that is protected."""
    model = {"name": "models/kept", "protected": True}
    await running.stub.CreateModel(pb.CreateModelRequest(model=model))
    request = pb.DeleteModelRequest(name="models/kept", force=True)
    return await told_by(running.stub.DeleteModel(request))


async def past_its_end(running: RunningRegistry) -> Told:
    """Bytes of a blob that it does not have."""
    version = await running.stub.GetVersion(pb.GetVersionRequest(name="models/digits/versions/1"))
    request = pb.ReadBlobRequest(sha256=version.files[0].sha256, offset=10**9)
    return await told_by(running.stub.ReadBlob(request))


async def outdated(running: RunningRegistry) -> Told:
    """An etag of something else."""
    other = await running.stub.GetModel(pb.GetModelRequest(name="models/digits"))
    request = pb.DeleteModelRequest(name="models/empty", etag=other.etag)
    return await told_by(running.stub.DeleteModel(request))


async def damaged(running: RunningRegistry) -> Told:
    """A blob that the disk has altered."""
    version = await push(running, onnx_file(7.0), model="damaged")
    (file,) = version.files
    (blob,) = [path for path in running.settings.data.rglob("*") if file.sha256 in path.name]
    blob.chmod(0o600)
    blob.write_bytes(bytes(file.size_bytes))
    return await told_by(running.stub.ReadBlob(pb.ReadBlobRequest(sha256=file.sha256)))


def _first(rows: list[Any]) -> dict[str, Any]:
    """The first row of each reason."""
    return {row[0]: row for row in reversed(rows)}


CALLS: tuple[Refusal, ...] = (
    *[
        Refusal(_KINDS.get(reason, "InvalidArgument"), reason, method, calling(method, fields))
        for reason, method, fields in _first(INVALID).values()
    ],
    Refusal("InvalidArgument", "MALFORMED_REQUEST", "GetModel", malformed),
    Refusal("InvalidArgument", "REQUEST_ID_REUSED", "CreateModel", reusing),
    Refusal("InvalidArgument", "REASON_INVALID", "CreateModel", talking),
    Refusal(
        "AlreadyExists",
        "MODEL_EXISTS",
        "CreateModel",
        calling("CreateModel", {"model": {"name": "models/empty"}}),
    ),
    Refusal(
        "InvalidArgument",
        "PAGE_TOKEN_INVALID",
        "ListModels",
        calling("ListModels", {"page_token": "x"}),
    ),
    Refusal(
        "NotFound",
        "ALIAS_NOT_FOUND",
        "GetAlias",
        calling("GetAlias", {"name": "models/digits/aliases/no"}),
    ),
    Refusal("NotFound", "BLOB_NOT_FOUND", "ReadBlob", calling("ReadBlob", {"sha256": "0" * 64})),
    Refusal(
        "FailedPrecondition",
        "MODEL_HAS_VERSIONS",
        "DeleteModel",
        calling("DeleteModel", {"name": "models/digits"}),
    ),
    Refusal("FailedPrecondition", "MODEL_PROTECTED", "DeleteModel", protecting),
    Refusal("Aborted", "ETAG_MISMATCH", "DeleteModel", outdated),
    Refusal("DataLoss", "BLOB_DAMAGED", "ReadBlob", damaged),
    Refusal("OutOfRange", "OFFSET_OUT_OF_RANGE", "ReadBlob", past_its_end),
    Refusal("FailedPrecondition", "SIGNATURE_CHANGED", "UpdateRoute", changing),
    Refusal("FailedPrecondition", "GATE_NOT_PASSED", "UpdateAlias", failing),
    Refusal(
        "InvalidArgument",
        "GATE_INVALID",
        "CreateModel",
        calling("CreateModel", {"model": {"name": "models/g", "gate": {"require": ["a >"]}}}),
    ),
    Refusal(
        "FailedPrecondition",
        "VERSION_IN_USE",
        "DeleteVersion",
        calling("DeleteVersion", {"name": "models/digits/versions/1"}),
    ),
    Refusal(
        "InvalidArgument",
        "PUSH_HEADER_MISSING",
        "PushVersion",
        sending(pb.PushVersionRequest(chunk=b"x")),
    ),
    Refusal("InvalidArgument", "SIGNATURE_MALFORMED", "PushVersion", sending(UNSIGNED)),
    Refusal("InvalidArgument", "PUSH_CHUNK_MISSING", "PushVersion", sending(HEADER, HEADER)),
    Refusal(
        "InvalidArgument",
        "CHUNK_TOO_LARGE",
        "PushVersion",
        sending(HEADER, pb.PushVersionRequest(chunk=bytes(5 << 20))),
    ),
)
"""That take no check of an artifact."""

PUSHES: tuple[Refusal, ...] = tuple(
    Refusal(
        _KINDS.get(reason, "InvalidArgument"),
        reason,
        "PushVersion",
        pushing(name, artifact, header),
    )
    for reason, name, artifact, header in _first(REFUSED).values()
)
"""That do."""

_ALIAS = {"alias": {"name": "models/digits/aliases/two", "version": 1}}

LIMITED: tuple[Refusal, ...] = (
    Refusal(
        "ResourceExhausted",
        "TOO_MANY_MODELS",
        "CreateModel",
        calling("CreateModel", {"model": {"name": "models/another"}}),
    ),
    Refusal(
        "ResourceExhausted",
        "TOO_MANY_ALIASES",
        "UpdateAlias",
        calling("UpdateAlias", _ALIAS | {"allow_missing": True}),
    ),
    Refusal(
        "ResourceExhausted", "TOO_MANY_VERSIONS", "PushVersion", pushing("m.onnx", onnx_file(), {})
    ),
)
"""Of a registry with as many models, aliases and versions as its limits allow."""


def configured(reason: str, config: Mapping[str, Any], kind: str = "InvalidArgument") -> Refusal:
    """A push with a serving config that cannot be."""
    ask = pushing("m.onnx", onnx_file(), {"serving_config": config})
    return Refusal(kind, reason, "PushVersion", ask)


CONFIGS: tuple[Refusal, ...] = (
    configured("FREE_DIMENSION_UNKNOWN", {"session": {"free_dimensions": {"lenght": 7}}}),
    configured(
        "CUSTOM_OPERATORS_UNAVAILABLE",
        {"session": {"custom_operators": ["liboperators.so"]}},
        "FailedPrecondition",
    ),
    configured(
        "WARM_UP_SAMPLE_INVALID",
        {"warm_up": {"samples": [{"name": "day"}]}},
    ),
)
"""Of what a graph cannot have."""
