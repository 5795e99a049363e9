"""Asks for every method and route with some identity, and tells how that was answered by a letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.security.services import services

SECONDS = 20.0
SERVICES: Mapping[str, ServiceDescriptor] = {each.full_name: each for each in services()}
REFUSALS = {grpc.StatusCode.UNAUTHENTICATED: "U", grpc.StatusCode.PERMISSION_DENIED: "D"}
STATUSES = {401: "U", 403: "D"}

WRONG_ETAG = "not-this-one"
_REGION = {"name": "r", "key": "/nothing", "byteSize": 8}

REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "ModelReady": {"name": "digits"},
    "QueryProfiles": {"model": "digits", "version": 1},
    "ModelMetadata": {"name": "digits"},
    "ModelConfig": {"name": "digits"},
    "ModelStatistics": {"name": "digits"},
    "ModelInfer": {"modelName": "digits"},
    "Generate": {"model": "digits", "text": "a"},
    "Score": {"model": "digits", "text": "a"},
    "Embed": {"model": "digits"},
    "Rerank": {"model": "digits"},
    "Tokenize": {"model": "digits", "text": "a"},
    "Detokenize": {"model": "digits"},
    "RepositoryModelLoad": {"modelName": "digits"},
    "RepositoryModelUnload": {"modelName": "digits"},
    "SystemSharedMemoryRegister": _REGION,
    "CudaSharedMemoryRegister": {"name": "r"},
    "TraceSetting": {"settings": {"nothing": {"value": ["1"]}}, "modelName": "digits"},
    "LogSettings": {"settings": {"nothing": {"boolParam": True}}},
    "CreateModel": {"model": {"name": "models/digits"}},
    "GetModel": {"name": "models/digits"},
    "UpdateModel": {"model": {"name": "models/digits"}, "updateMask": "nothing"},
    "DeleteModel": {"name": "models/digits", "etag": WRONG_ETAG},
    "PushVersion": {"header": {"parent": "models/digits"}},
    "GetVersion": {"name": "models/digits/versions/1"},
    "ListVersions": {"parent": "models/digits"},
    "DeleteVersion": {"name": "models/digits/versions/1", "etag": WRONG_ETAG},
    "GetAlias": {"name": "models/digits/aliases/a"},
    "ListAliases": {"parent": "models/digits"},
    "UpdateAlias": {"alias": {"name": "models/digits/aliases/a"}},
    "BatchUpdateAliases": {"parent": "models/digits"},
    "DeleteAlias": {"name": "models/digits/aliases/a"},
    "GetRoute": {"name": "models/digits/route"},
    "UpdateRoute": {"route": {"name": "models/digits/route"}},
    "ListReplicas": {"model": "digits"},
    "WatchChanges": {"model": "digits", "progress": True},
    "ListChanges": {"model": "digits"},
    "CreateApiKey": {"key": {"subject": "not:allowed"}},
    "RotateApiKey": {"name": "keys/nothing1"},
    "RevokeApiKey": {"name": "keys/nothing1"},
    "CreateRole": {"role": {"name": "roles/admin"}},
    "UpdateRole": {"role": {"name": "roles/admin"}},
    "DeleteRole": {"name": "roles/admin"},
    "GrantRole": {"subject": "nobody-new", "grant": {"role": "no-such-role"}},
    "RevokeRole": {"subject": "nobody-new", "role": "viewer"},
    "SetReference": {"parent": "models/digits/versions/1"},
    "GetReference": {"name": "models/digits/versions/1/reference"},
    "DeleteReference": {"name": "models/digits/versions/1/reference", "etag": WRONG_ETAG},
    "UpdateEnforcement": {"name": "models/digits/versions/1/reference"},
    "GetAnnotations": {"name": "models/digits/versions/1/annotations"},
    "UpdateAnnotations": {"name": "models/digits/versions/1/annotations"},
    "PutAttachment": {"header": {"name": "models/digits/versions/1/annotations"}},
    "DeleteAttachment": {"name": "models/digits/versions/1/annotations", "path": "nothing"},
    "SearchVersions": {"parent": "models/digits"},
    "ApplyRules": {"rules": "not TOML", "dryRun": True},
    "ListAlerts": {"model": "digits"},
    "WatchAlerts": {"model": "digits"},
    "AcknowledgeAlert": {"id": "nothing"},
    "CreateSilence": {"silence": {"model": "digits"}},
    "DeleteSilence": {"id": "nothing"},
    "TestReceiver": {"receiver": "nothing"},
    "ListObjectives": {"model": "digits"},
    "QueryStatistics": {"model": "digits"},
    "WatchStatistics": {"query": {"model": "digits"}},
    "QueryDrift": {"model": "digits"},
    "ResetBaseline": {"model": "digits", "version": 1},
    "RecordLabels": {"model": "digits"},
    "QueryQuality": {"model": "digits"},
    "QueryTallies": {"stretches": [{"resolution": 1, "startNs": "0", "endNs": "1"}]},
    "QuerySeries": {"query": {"model": "digits"}},
}
"""Requests about `digits` that change nothing, whoever sends them: what would is wrong in another way."""


def metadata_of(key: str) -> tuple[tuple[str, str], ...]:
    """What a call with this key brings; none with ''."""
    return (("authorization", f"Bearer {key}"),) if key else ()


def request_of(method: MethodDescriptor, more: Mapping[str, Any]) -> Message:
    """The request of the table, with more in it."""
    message = GetMessageClass(method.input_type)()
    pool = method.containing_service.file.pool
    found = {**REQUESTS.get(method.name, {}), **more}
    return json_format.ParseDict(found, message, descriptor_pool=pool)


_OF_GRPC_ITSELF = "Internal error from Core"
"""The status that grpcio makes where a stream was refused while its first message was being sent."""


async def asked(
    channel: grpc.aio.Channel, method: MethodDescriptor, key: str, **more: Any
) -> tuple[str, str]:
    """How a method answers a key: the letter, and the text of the error if there is one."""
    found = await _asked(channel, method, key, **more)
    while found[1] == _OF_GRPC_ITSELF:
        found = await _asked(channel, method, key, **more)
    return found


async def _asked(
    channel: grpc.aio.Channel, method: MethodDescriptor, key: str, **more: Any
) -> tuple[str, str]:
    path = f"/{method.containing_service.full_name}/{method.name}"
    data = request_of(method, more).SerializeToString()
    call = _call(channel, method, path, data, metadata_of(key))
    try:
        if not method.server_streaming:
            await call
        elif await call.read() is not grpc.aio.EOF:  # it has answered, and would go on
            call.cancel()
            return ".", ""
    except grpc.aio.AioRpcError as error:
        return REFUSALS.get(error.code(), "."), error.details() or ""
    if method.server_streaming:  # it has ended, and how may come behind that
        code = await call.code()
        return REFUSALS.get(code, "."), await call.details()
    return ".", ""


def _call(
    channel: grpc.aio.Channel,
    method: MethodDescriptor,
    path: str,
    data: bytes,
    metadata: tuple[tuple[str, str], ...],
) -> Any:
    kind = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }[method.client_streaming, method.server_streaming]
    call: Any = kind(path)
    argument = iter([data]) if method.client_streaming else data
    return call(argument, metadata=metadata, timeout=SECONDS)


async def fetched(
    session: aiohttp.ClientSession, verb: str, url: str, key: str
) -> tuple[str, dict[str, Any] | str]:
    """How a route answers a key: the letter, and the body."""
    headers = dict(metadata_of(key))
    async with session.request(
        verb, url, headers=headers, data=_body(url) if verb == "POST" else None
    ) as got:
        body = await got.text()
        return STATUSES.get(got.status, "."), body


def _body(url: str) -> bytes:
    """An object; on routes of OpenAI's API it names the model."""
    return b"{}" if "/v2/" in url and not url.endswith("/rerank") else b'{"model": "digits"}'
