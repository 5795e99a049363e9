"""Management calls that mean harm: path tricks in names, tokens that were never given, oversized fields."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf import field_mask_pb2
from google.protobuf.message import Message

from headrace.registry.v1 import alias_pb2, model_pb2, route_pb2
from headrace.registry.v1 import registry_service_pb2 as pb
from tests.hostile.messages import field, varint
from tests.hostile.target import MIB, Target

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("running_target", ["native"], indirect=True),
]

SERVICE = "/headrace.registry.v1.RegistryService/"

RESOURCE, MODEL = "INVALID_ARGUMENT RESOURCE_NAME_INVALID", "INVALID_ARGUMENT MODEL_NAME_INVALID"
NAMES = {
    "": RESOURCE,
    "scale": RESOURCE,
    "/models/scale": RESOURCE,
    "Models/scale": RESOURCE,
    "models//scale": RESOURCE,
    "models/scale/": RESOURCE,
    "models/scale/versions/1": RESOURCE,
    "models/../scale": RESOURCE,
    "models\\..\\scale": RESOURCE,
    "models/": MODEL,
    "models/..": MODEL,
    "models/.scale": MODEL,
    "models/-scale": MODEL,
    "models/%2e%2e": MODEL,
    "models/sc%2fale": MODEL,
    "models/scale\0": MODEL,
    "models/scale\n": MODEL,
    "models/sc ale": MODEL,
    "models/模型": MODEL,
    "models/" + "a" * 129: MODEL,
    "models/" + "a" * MIB: MODEL,
}

NUMBER = "INVALID_ARGUMENT VERSION_NUMBER_INVALID"
VERSIONS = {
    "models/scale/versions/": NUMBER,
    "models/scale/versions/0": NUMBER,
    "models/scale/versions/-1": NUMBER,
    "models/scale/versions/01": NUMBER,
    "models/scale/versions/1.0": NUMBER,
    "models/scale/versions/\u0661": NUMBER,
    "models/scale/versions/" + "9" * 5000: NUMBER,
    "models/scale/versions/..": NUMBER,
    "models/scale/versions/99": "NOT_FOUND VERSION_NOT_FOUND",
    "models/scale/versions/1/x": RESOURCE,
    "models/../versions/1": MODEL,
}

ALIAS = "INVALID_ARGUMENT ALIAS_NAME_INVALID"
ALIASES = {
    "models/scale/aliases/": ALIAS,
    "models/scale/aliases/..": ALIAS,
    "models/scale/aliases/A": ALIAS,
    "models/scale/aliases/1": ALIAS,
    "models/scale/aliases/a\0": ALIAS,
    "models/scale/aliases/" + "a" * 64: ALIAS,
    "models/scale/aliases/a/b": RESOURCE,
}


def _token(content: object) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).decode()


TOKENS = {
    "no base64": "!!!",
    "no padding": "A",
    "no JSON": "AAAA",
    "unicode": "模型",
    "1 MiB": "A" * MIB,
    "null": _token(None),
    "a number": _token(5),
    "an object": _token({"a": 1}),
    "a text": _token("ab"),
    "of another list": _token(["replicas", "a"]),
    "of three": _token(["models", "a", "b"]),
    "a boolean": _token(["models", True]),
    "a list": _token(["models", [1]]),
    "not a number": _token(b'["models",NaN]'),
    "5,000 digits": _token(b'["models",' + b"9" * 5000 + b"]"),
    "100,000 deep": _token(b"[" * 100_000),
}

Model, Route, Canary = model_pb2.Model, route_pb2.Route, route_pb2.Canary
INVALID, ROUTE = "INVALID_ARGUMENT MODEL_INVALID", "INVALID_ARGUMENT ROUTE_INVALID"


def _create(**fields: Any) -> Message:
    return pb.CreateModelRequest(model=Model(name="models/new", **fields))


def _route(stable: int, canary: tuple[int, float] | None = None) -> Message:
    route = Route(name="models/scale/route", stable_version=stable)
    if canary is not None:
        route.canary.version, route.canary.weight_percent = canary
    return pb.UpdateRouteRequest(route=route)


def _mask(*paths: str) -> Message:
    return pb.UpdateModelRequest(
        model=Model(name="models/scale"), update_mask=field_mask_pb2.FieldMask(paths=paths)
    )


FIELDS: list[tuple[str, str, Message, str]] = [
    ("65 labels", "CreateModel", _create(labels={str(n): "" for n in range(65)}), INVALID),
    (
        "100,000 labels",
        "CreateModel",
        _create(labels={str(n): "" for n in range(100_000)}),
        INVALID,
    ),
    ("a label's long key", "CreateModel", _create(labels={"k" * 129: ""}), INVALID),
    ("a label's empty key", "CreateModel", _create(labels={"": "v"}), INVALID),
    ("a label's long value", "CreateModel", _create(labels={"k": "v" * 129}), INVALID),
    ("a label's value of 1 MiB", "CreateModel", _create(labels={"k": "v" * MIB}), INVALID),
    ("a description of 2 MiB", "CreateModel", _create(description="d" * 2 * MIB), INVALID),
    ("keep -1", "CreateModel", _create(keep_latest=-1), INVALID),
    ("keep 101", "CreateModel", _create(keep_latest=101), INVALID),
    (
        "a model that is there",
        "CreateModel",
        pb.CreateModelRequest(model=Model(name="models/scale")),
        "ALREADY_EXISTS MODEL_EXISTS",
    ),
    (
        "no UUID",
        "CreateModel",
        pb.CreateModelRequest(model=Model(name="models/new"), request_id="abc"),
        "INVALID_ARGUMENT REQUEST_ID_INVALID",
    ),
    (
        "no UUID, 1 MiB",
        "CreateModel",
        pb.CreateModelRequest(model=Model(name="models/new"), request_id="{" * MIB),
        "INVALID_ARGUMENT REQUEST_ID_INVALID",
    ),
    (
        "an etag that is none",
        "DeleteModel",
        pb.DeleteModelRequest(name="models/scale", etag="x" * MIB),
        "INVALID_ARGUMENT ETAG_INVALID",
    ),
    (
        "an etag of 5,000 digits",
        "DeleteModel",
        pb.DeleteModelRequest(name="models/scale", etag="9" * 5000),
        "ABORTED ETAG_MISMATCH",
    ),
    (
        "a mask of what cannot be",
        "UpdateModel",
        _mask("name", ".."),
        "INVALID_ARGUMENT UPDATE_MASK_INVALID",
    ),
    (
        "a mask of 100,000",
        "UpdateModel",
        _mask(*map(str, range(100_000))),
        "INVALID_ARGUMENT UPDATE_MASK_INVALID",
    ),
    (
        "pages of -1",
        "ListModels",
        pb.ListModelsRequest(page_size=-1),
        "INVALID_ARGUMENT PAGE_SIZE_INVALID",
    ),
    ("pages of 2^31-1", "ListModels", pb.ListModelsRequest(page_size=2**31 - 1), "OK"),
    ("stable 0", "UpdateRoute", _route(0), ROUTE),
    ("stable -1", "UpdateRoute", _route(-1), ROUTE),
    ("stable 2^63-1", "UpdateRoute", _route(2**63 - 1), "NOT_FOUND VERSION_NOT_FOUND"),
    ("canary the same", "UpdateRoute", _route(1, (1, 5)), ROUTE),
    ("canary NaN", "UpdateRoute", _route(1, (2, float("nan"))), ROUTE),
    ("canary infinite", "UpdateRoute", _route(1, (2, float("inf"))), ROUTE),
    ("canary -1", "UpdateRoute", _route(1, (2, -1)), ROUTE),
    ("canary unknown", "UpdateRoute", _route(1, (99, 5)), "NOT_FOUND VERSION_NOT_FOUND"),
    (
        "a blob by path",
        "ReadBlob",
        pb.ReadBlobRequest(sha256="../../etc/passwd"),
        "INVALID_ARGUMENT DIGEST_INVALID",
    ),
    (
        "a blob that is not there",
        "ReadBlob",
        pb.ReadBlobRequest(sha256="0" * 64),
        "NOT_FOUND BLOB_NOT_FOUND",
    ),
    (
        "a blob from -1",
        "ReadBlob",
        pb.ReadBlobRequest(sha256="0" * 64, offset=-1),
        "INVALID_ARGUMENT POSITION_INVALID",
    ),
    (
        "changes from -1",
        "WatchChanges",
        pb.WatchChangesRequest(start_revision=-1),
        "INVALID_ARGUMENT POSITION_INVALID",
    ),
    (
        "changes to come",
        "WatchChanges",
        pb.WatchChangesRequest(start_revision=2**62),
        "OUT_OF_RANGE REVISION_UNKNOWN",
    ),
    ("changes of a path", "WatchChanges", pb.WatchChangesRequest(model="../x"), RESOURCE),
    ("a method that is none", "Nope", pb.GetModelRequest(), "UNIMPLEMENTED"),
]
MALFORMED = "INVALID_ARGUMENT MALFORMED_REQUEST"
BYTES = {
    "ones": b"\xff" * 100,
    "a field that is cut": b"\x0a\x05a",
    "groups 100,000 deep": varint(1 << 3 | 3) * 100_000,
    "a name that is no UTF-8": field(1, b"\xff"),
}


def _call(target: Target, method: str, message: Message) -> str:
    return target.call("registry", SERVICE + method, message.SerializeToString())


@pytest.mark.parametrize(
    ("name", "expected"), NAMES.items(), ids=[repr(name)[:40] for name in NAMES]
)
def test_model_name(target: Target, name: str, expected: str) -> None:
    """No name of a model leads anywhere else, whatever is done with it."""
    assert expected == _call(target, "GetModel", pb.GetModelRequest(name=name))
    assert expected == _call(target, "CreateModel", pb.CreateModelRequest(model=Model(name=name)))
    assert expected == _call(target, "DeleteModel", pb.DeleteModelRequest(name=name, force=True))
    assert expected == _call(target, "ListVersions", pb.ListVersionsRequest(parent=name))


@pytest.mark.parametrize(
    ("name", "expected"), VERSIONS.items(), ids=[repr(name)[:50] for name in VERSIONS]
)
def test_version_name(target: Target, name: str, expected: str) -> None:
    """Nor does one of a version."""
    assert expected == _call(target, "GetVersion", pb.GetVersionRequest(name=name))
    assert expected == _call(target, "DeleteVersion", pb.DeleteVersionRequest(name=name))


@pytest.mark.parametrize(
    ("name", "expected"), ALIASES.items(), ids=[repr(name)[:50] for name in ALIASES]
)
def test_alias_name(target: Target, name: str, expected: str) -> None:
    """Nor one of an alias."""
    alias = alias_pb2.Alias(name=name, version=1)
    assert expected == _call(target, "GetAlias", pb.GetAliasRequest(name=name))
    assert expected == _call(
        target, "UpdateAlias", pb.UpdateAliasRequest(alias=alias, allow_missing=True)
    )
    assert expected == _call(target, "DeleteAlias", pb.DeleteAliasRequest(name=name))


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_page_token(target: Target, token: str) -> None:
    """A page token that no list gave is refused by every list."""
    expected = "INVALID_ARGUMENT PAGE_TOKEN_INVALID"
    versions = pb.ListVersionsRequest(parent="models/scale", page_token=token)
    assert expected == _call(target, "ListModels", pb.ListModelsRequest(page_token=token))
    assert expected == _call(target, "ListVersions", versions)


@pytest.mark.parametrize(
    ("method", "message", "expected"), [row[1:] for row in FIELDS], ids=[row[0] for row in FIELDS]
)
def test_field(target: Target, method: str, message: Message, expected: str) -> None:
    """A field out of its range is refused, and nothing is changed."""
    assert expected == _call(target, method, message)


@pytest.mark.parametrize("sent", BYTES.values(), ids=BYTES)
@pytest.mark.parametrize(
    "method", ["GetModel", "CreateModel", "UpdateModel", "DeleteModel", "UpdateRoute"]
)
def test_bytes(target: Target, method: str, sent: bytes) -> None:
    """Bytes that are no message are the caller's mistake."""
    assert MALFORMED == target.call("registry", SERVICE + method, sent)
