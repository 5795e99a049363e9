"""Reads requests into the domain's nouns: syntax is checked here, meaning in the domain."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TypeVar
from uuid import UUID

from headrace import errors
from headrace.conversion import MAX_BATCH_SIZE, route_from_proto, serving_config_from_proto
from headrace.conversion.gates import gate_from_proto
from headrace.model_files.foreign_formats import format_of_name, not_onnx
from headrace.registry.v1 import model_pb2
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.resource_names import (
    check_alias_name,
    parse_alias,
    parse_model,
    parse_route,
    parse_version,
)
from headrace.state.gate_records import GateRecord
from headrace.state.language_records import VersionKind
from headrace.state.records import Batching, ServingConfig
from headrace.type.v1 import language_pb2
from headrace_registry.domain.catalog_store import IdempotencyKey
from headrace_registry.domain.decisions.allowed import Allowed
from headrace_registry.domain.history.watches import WatchRequest
from headrace_registry.domain.pages import PageRequest
from headrace_registry.domain.pushes.artifacts import Format, Push, RequestedOptions
from headrace_registry.domain.resources.aliases import AliasMove, AliasRemoval
from headrace_registry.domain.resources.models import (
    DEFAULT_KEEP_LATEST,
    ModelEdit,
    ModelRemoval,
    NewModel,
)
from headrace_registry.domain.resources.routes import RouteEdit
from headrace_registry.domain.resources.versions import VersionRemoval
from headrace_registry.wire.annotation_requests import said_by_push
from headrace_registry.wire.digests import parse_digest

_Creation = TypeVar("_Creation", pb.CreateModelRequest, pb.PushVersionRequest.Header)
_List = (
    pb.ListModelsRequest | pb.ListVersionsRequest | pb.ListAliasesRequest | pb.ListReplicasRequest
)
_EDITABLE = ("description", "labels", "keep_latest", "pinned", "protected", "gate")
_ENDINGS = {
    ".onnx": Format.ONNX,
    ".zip": Format.ZIP,
    ".tar": Format.TAR,
    ".tar.gz": Format.TAR_GZ,
    ".tgz": Format.TAR_GZ,
}
_MOST_PERMISSIVE = ServingConfig(batching=Batching(MAX_BATCH_SIZE))


def new_model(request: pb.CreateModelRequest) -> NewModel:
    """The model to create."""
    model = request.model
    return NewModel(
        name=parse_model(model.name),
        description=model.description,
        labels=dict(model.labels),
        keep_latest=_keep_latest(model),
        pinned=model.pinned,
        protected=model.protected,
        gate=_gate(model),
    )


def model_edit(request: pb.UpdateModelRequest) -> ModelEdit:
    """Return what to change of a model: what the mask names, or all that can be.

    Without a mask, callers that know no protection and no gate must not take them away.
    """
    model = request.model
    masked = tuple(request.update_mask.paths)
    paths = masked or _EDITABLE
    unknown = sorted(set(paths) - set(_EDITABLE))
    if unknown:
        raise errors.InvalidArgument(
            "UPDATE_MASK_INVALID",
            f"{', '.join(unknown)} cannot be updated; these can: {', '.join(_EDITABLE)}",
            violations=(errors.FieldViolation("update_mask", f"among {', '.join(_EDITABLE)}"),),
        )
    return ModelEdit(
        name=parse_model(model.name),
        etag=model.etag,
        description=model.description if "description" in paths else None,
        labels=dict(model.labels) if "labels" in paths else None,
        keep_latest=_keep_latest(model) if "keep_latest" in paths else None,
        pinned=model.pinned if "pinned" in paths else None,
        protected=model.protected if "protected" in masked or model.protected else None,
        gate=(_gate(model) or GateRecord())
        if "gate" in masked or (model.HasField("gate") and not masked)
        else None,
    )


def _gate(model: model_pb2.Model) -> GateRecord | None:
    """The gate of a model; None where it demands nothing. Raises InvalidArgument."""
    for alias in (*model.gate.aliases, *(each.than for each in model.gate.no_worse_than)):
        if alias:
            check_alias_name(alias)
    if model.gate.data_digest:
        model.gate.data_digest = parse_digest(model.gate.data_digest, "model.gate.data_digest")
    return gate_from_proto(model.gate)


def model_removal(request: pb.DeleteModelRequest) -> ModelRemoval:
    """The model to delete."""
    return ModelRemoval(parse_model(request.name), request.etag, request.force)


def version_removal(request: pb.DeleteVersionRequest) -> VersionRemoval:
    """The version to delete."""
    return VersionRemoval(*parse_version(request.name), request.etag)


def alias_move(request: pb.UpdateAliasRequest) -> AliasMove:
    """Return where an alias is to point."""
    model, name = parse_alias(request.alias.name)
    return AliasMove(
        model,
        name,
        request.alias.version,
        request.alias.etag,
        request.allow_missing,
        _allowed(request),
    )


def alias_moves(request: pb.BatchUpdateAliasesRequest) -> tuple[str, list[AliasMove]]:
    """The model whose aliases are to be moved, and where each is to point."""
    return parse_model(request.parent), [alias_move(each) for each in request.requests]


def alias_removal(request: pb.DeleteAliasRequest) -> AliasRemoval:
    """The alias to delete."""
    return AliasRemoval(*parse_alias(request.name), request.etag)


def route_edit(request: pb.UpdateRouteRequest) -> RouteEdit:
    """The route that a model is to have."""
    route = request.route
    model = parse_route(route.name)
    return RouteEdit(model, route_from_proto(route), route.etag, _allowed(request))


def push(header: pb.PushVersionRequest.Header) -> Push:
    """Return what is going to be pushed. An impossible config is refused before the bytes are sent."""
    configure = partial(serving_config_from_proto, header.serving_config)
    possible = configure(_MOST_PERMISSIVE)
    batching = header.serving_config.batching
    model = parse_model(header.parent)
    return Push(
        model=model,
        format=_format(header.filename),
        size_bytes=_size(header.size_bytes),
        sha256=parse_digest(header.sha256, "header.sha256"),
        configure=configure,
        description=header.description,
        alias=check_alias_name(header.alias) if header.alias else "",
        create_model=header.create_model,
        allow_signature_change=header.allow_signature_change,
        signature_bundle=header.signature_bundle,
        creation=creation(header),
        said=said_by_push(header.annotations, model),
        allow_gate_failure=header.allow_gate_failure,
        asked=RequestedOptions(
            possible.session,
            possible.warm_up,
            batching.max_batch_size if batching.HasField("max_batch_size") else None,
            possible.shapes,
            _kind(header.kind),
            possible.encoding,
        ),
    )


def _kind(number: int) -> VersionKind | None:
    """Return the kind that a push says its version is. Raises InvalidArgument (SERVING_CONFIG_INVALID)."""
    known = {getattr(language_pb2, f"VERSION_KIND_{kind.name}"): kind for kind in VersionKind}
    if number and number not in known:
        raise errors.InvalidArgument(
            "SERVING_CONFIG_INVALID",
            f"header.kind is {number}; it must be one of {', '.join(VersionKind)}",
            violations=(errors.FieldViolation("header.kind", "a known kind"),),
        )
    return known.get(number)


def creation(message: _Creation) -> IdempotencyKey | None:
    """Return what makes a repeat of this create the same one, or None where it has no request_id."""
    if not message.request_id:
        return None
    asked = type(message)()
    asked.CopyFrom(message)
    asked.ClearField("request_id")
    content = message.DESCRIPTOR.full_name.encode() + asked.SerializeToString(deterministic=True)
    return IdempotencyKey(_request_id(message.request_id), hashlib.sha256(content).hexdigest())


def page(request: _List, listing: str) -> PageRequest:
    """Return which page of a listing."""
    return PageRequest(listing, request.page_size, request.page_token)


def only_model(request: pb.WatchChangesRequest | pb.ListReplicasRequest) -> str | None:
    """The model that is asked about alone, or None for all."""
    return parse_model(request.model) if request.model else None


def watch(request: pb.WatchChangesRequest) -> WatchRequest:
    """After which change to watch, and what. Raises InvalidArgument."""
    return WatchRequest(
        revision=not_negative(request.start_revision, "start_revision"),
        epoch=request.start_epoch,
        hash=request.start_hash,
        model=only_model(request) or None,
        marks=request.progress,
    )


def not_negative(value: int, field: str) -> int:
    """The value of a field, if it is a position. Raises InvalidArgument (POSITION_INVALID)."""
    if value < 0:
        raise errors.InvalidArgument(
            "POSITION_INVALID",
            f"{field} is {value}; it must be 0 or more",
            violations=(errors.FieldViolation(field, "0 or more"),),
        )
    return value


def _keep_latest(model: model_pb2.Model) -> int:
    return model.keep_latest if model.HasField("keep_latest") else DEFAULT_KEEP_LATEST


def _allowed(request: pb.UpdateRouteRequest | pb.UpdateAliasRequest) -> Allowed:
    return Allowed(
        request.allow_signature_change, request.allow_unready, request.allow_gate_failure
    )


def _format(filename: str) -> Format:
    for ending, file_format in _ENDINGS.items():
        if filename.lower().endswith(ending):
            return file_format
    if found := format_of_name(filename):
        raise not_onnx(filename[:200], found)
    raise errors.InvalidArgument(
        "FILENAME_UNSUPPORTED",
        f"{filename[:200]!r} does not say what it is: it must end with one of {', '.join(_ENDINGS)}",
        violations=(errors.FieldViolation("header.filename", "a known ending"),),
    )


def _size(size_bytes: int) -> int:
    if size_bytes < 1:
        raise errors.InvalidArgument(
            "ARTIFACT_SIZE_INVALID",
            f"header.size_bytes is {size_bytes}: it must be the artifact's size, 1 or more",
            violations=(errors.FieldViolation("header.size_bytes", "1 or more"),),
        )
    return size_bytes


def _request_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise errors.InvalidArgument(
            "REQUEST_ID_INVALID",
            f"request_id is {text[:80]!r}; it must be a UUID",
            violations=(errors.FieldViolation("request_id", "a UUID"),),
        ) from None
