"""The schemas of the OpenAPI document, made from what the code decodes and encodes wherever that can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import model_config_pb2 as config_pb
from headrace.state.records import LoadState
from headrace_inference.wire.rest.models import LoadBody, UnloadBody
from headrace_inference.wire.rest.requests import IndexBody, InferBody, Scalar
from headrace_inference.wire.rest.settings import LogChanges, TraceChanges
from headrace_inference.wire.rest.shared_memory import DeviceRegion, SystemRegion

Schema = dict[str, Any]

PLACE = "#/components/schemas/"

_PACKAGE = "inference."
_BODIES: tuple[Any, ...] = (InferBody, IndexBody, LoadBody, UnloadBody, SystemRegion, DeviceRegion)
_ALIASES: dict[str, Any] = {
    "LogChanges": LogChanges,
    "TraceChanges": TraceChanges,
    "Parameters": dict[str, Scalar],
}
_SHOWN: tuple[Any, ...] = (
    pb.ServerMetadataResponse,
    pb.ModelMetadataResponse,
    config_pb.ModelConfig,
)
_SHOWN_WITH_UNSET: tuple[Any, ...] = (pb.ModelStatisticsResponse,)
_LISTED: dict[str, Any] = {
    "Index": pb.RepositoryIndexResponse.ModelIndex,
    "SystemRegions": pb.SystemSharedMemoryStatusResponse.RegionStatus,
    "CudaRegions": pb.CudaSharedMemoryStatusResponse.RegionStatus,
}

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}
_STATE: Schema = {"enum": [state.value for state in LoadState]}
_FLAG: Schema = {"type": "boolean"}
_ERROR: Schema = {
    "description": "`reason` is a constant, listed in docs/errors.md; `error` is for people.",
    "type": "object",
    "properties": {
        "error": {"type": "string", "minLength": 1},
        "reason": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
        "facts": _TEXTS,
        "violations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": _TEXT, "description": _TEXT},
                "required": ["field", "description"],
            },
        },
        "retry_after_seconds": {"type": "number", "minimum": 0},
    },
    "required": ["error", "reason"],
}
_OUTPUT: Schema = {
    "description": "`data` is flat, row-major; an output in the binary tail has `binary_data_size`.",
    "type": "object",
    "properties": {
        "name": _TEXT,
        "datatype": {"enum": [datatype.value for datatype in Datatype]},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "data": {"type": "array", "items": {"type": ["number", "boolean", "string"]}},
        "parameters": {"type": "object", "properties": {"binary_data_size": {"type": "integer"}}},
    },
    "required": ["name", "datatype", "shape"],
}


def ref(name: str) -> Schema:
    """A reference to a schema."""
    return {"$ref": PLACE + name}


def _object(*, more: bool = False, **properties: Schema) -> Schema:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return schema if more else {**schema, "additionalProperties": False}


def schemas() -> dict[str, Schema]:
    """All schemas, by name."""
    _, bodies = msgspec.json.schema_components(_BODIES, ref_template=PLACE + "{name}")
    aliases, _ = msgspec.json.schema_components(_ALIASES.values())
    return dict(
        sorted(
            {
                **bodies,
                **dict(zip(_ALIASES, aliases, strict=True)),
                **_messages(),
                **_by_hand(),
            }.items()
        )
    )


def _inference_by_hand() -> dict[str, Schema]:
    return {
        "InferOutputAnswer": _OUTPUT,
        "InferAnswer": {
            "type": "object",
            "properties": {
                "model_name": _TEXT,
                "model_version": _TEXT,
                "id": _TEXT,
                "parameters": _TEXTS,
                "outputs": {"type": "array", "items": ref("InferOutputAnswer")},
            },
            "required": ["model_name", "model_version", "parameters", "outputs"],
        },
        "GenerateBody": {
            "description": "A member for each input, by its name; others are parameters.",
            "type": "object",
            "properties": {"id": _TEXT, "parameters": ref("Parameters")},
            "additionalProperties": True,
        },
        "GenerateAnswer": {
            "description": "A member for each output, by its name: one element, or a flat list.",
            **_object(more=True, model_name=_TEXT, model_version=_TEXT),
        },
    }


def _listings_by_hand() -> dict[str, Schema]:
    return {
        "About": _object(
            name=_TEXT,
            version=_TEXT,
            description=_TEXT,
            links={"type": "array", "items": _object(path=_TEXT, description=_TEXT)},
        ),
        "Models": _object(
            models={"type": "array", "items": ref("ListedModel")}, next_page_token=_TEXT
        ),
        "ListedModel": {
            "description": "`ready`: a request that names no version is answered here.",
            **_object(
                name=_TEXT,
                ready=_FLAG,
                versions={
                    "type": "array",
                    "items": _object(version=_TEXT, state=_STATE, reason=_TEXT),
                },
            ),
        },
    }


def _by_hand() -> dict[str, Schema]:
    return (
        _inference_by_hand()
        | _listings_by_hand()
        | {
            "Error": _ERROR,
            "Live": _object(live=_FLAG),
            "Ready": _object(ready=_FLAG),
            "ModelReady": _object(name=_TEXT, ready=_FLAG),
            "NotReady": {"allOf": [ref("Error"), _object(more=True, ready=_FLAG)]},
            "ModelNotReady": {
                "description": "Not ready (`ready` is there), or the names are wrong.",
                "allOf": [
                    ref("Error"),
                    {"type": "object", "properties": {"name": _TEXT, "ready": _FLAG}},
                ],
            },
            "LogSettings": {
                "type": "object",
                "additionalProperties": {"type": ["boolean", "integer", "string"]},
            },
            "TraceSettings": {
                "type": "object",
                "additionalProperties": {"type": ["string", "array"], "items": _TEXT},
            },
            "Document": _object(more=True, openapi=_TEXT, info={"type": "object"}),
            "Bytes": {
                "description": "JSON of as many bytes as Inference-Header-Content-Length says, then "
                "tensors; with 0, a request's body is the one input of the model.",
            },
            "Events": {
                "type": "string",
                "description": "`data: {...}`, a GenerateAnswer for each.",
            },
            "Text": _TEXT,
            **{
                name: {"type": "array", "items": ref(_name(kind.DESCRIPTOR))}
                for name, kind in _LISTED.items()
            },
        }
    )


def _messages() -> dict[str, Schema]:
    """The protocol's messages as `message_to_json` writes them, with all that they consist of."""
    found: dict[str, Schema] = {}
    for kinds, unset_too in (
        ((*_SHOWN, *_LISTED.values()), False),
        (_SHOWN_WITH_UNSET, True),
    ):
        for kind in kinds:
            _add_message(kind.DESCRIPTOR, found, unset_too=unset_too)
    return found


def _add_message(message: Descriptor, found: dict[str, Schema], *, unset_too: bool) -> None:
    if _name(message) in found:
        return
    found[_name(message)] = {
        "type": "object",
        "properties": {field.name: _field(field) for field in message.fields},
        "required": [
            field.name for field in message.fields if _is_always_there(field, unset_too=unset_too)
        ],
    }
    for inner in _inner_messages(message):
        _add_message(inner, found, unset_too=unset_too)


def _is_always_there(field: FieldDescriptor, *, unset_too: bool) -> bool:
    return not field.has_presence or (unset_too and field.containing_oneof is None)


def _inner_messages(message: Descriptor) -> Iterator[Descriptor]:
    for field in message.fields:
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            inner = inner.fields_by_name["value"].message_type
        if inner is not None:
            yield inner


def _field(field: FieldDescriptor) -> Schema:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {
            "type": "object",
            "additionalProperties": _value(field.message_type.fields_by_name["value"]),
        }
    return {"type": "array", "items": _value(field)} if field.is_repeated else _value(field)


def _value(field: FieldDescriptor) -> Schema:
    if field.message_type is not None:
        return ref(_name(field.message_type))
    if field.enum_type is not None:
        return {"enum": [value.name for value in field.enum_type.values]}
    kinds = {
        FieldDescriptor.CPPTYPE_BOOL: "boolean",
        FieldDescriptor.CPPTYPE_STRING: "string",
        FieldDescriptor.CPPTYPE_DOUBLE: "number",
        FieldDescriptor.CPPTYPE_FLOAT: "number",
    }
    return {"type": kinds.get(field.cpp_type, "integer")}


def _name(message: Descriptor) -> str:
    return message.full_name.removeprefix(_PACKAGE)
