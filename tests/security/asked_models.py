"""Asks a replica to run a model, over each wire and either front, and tells how that was answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np

from headrace.datatypes import Datatype
from headrace.security.access import Access
from headrace.service.http.answers import JSON_TYPE
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import GOOD, echo

OURS, THEIRS, UNKNOWN = "echo-FP32", "echo-INT32", "echo-none"
"""Two models that there are, and one that there is not."""

WAYS = [(front, wire) for front in FRONTS for wire in ("unary", "stream")] + [("native", "rest")]
IDS = [f"{front}-{wire}" for front, wire in WAYS]

Headers = Sequence[tuple[str, str]]
STATUSES = {200: "OK", 400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
STATUSES |= {404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}


def open_models(
    folder: Path, access: Access, front: str, **more: Any
) -> AbstractAsyncContextManager[GrpcReplica]:
    """Both models behind this front."""
    models = echo(Datatype.FP32), echo(Datatype.INT32)
    return open_grpc_replica(folder, *models, access=access, front=front, **more)


async def outcome(
    replica: GrpcReplica, wire: str, model: str, headers: Headers
) -> tuple[str, str, str]:
    """The status, the reason and the message that a request is answered with."""
    if wire == "rest":
        return await _over_rest(replica, model, headers)
    message = request(model, np.ones(2, np.float32))
    if wire == "unary":
        return await failure_of(replica.stub.ModelInfer(message, metadata=list(headers)))
    asking = [*headers, ("triton_grpc_error", "true")]
    return await failure_of(_first(replica.stub.ModelStreamInfer(iter([message]), metadata=asking)))


async def _first(call: Any) -> None:
    async for answer in call:
        assert not answer.error_message, answer.error_message


async def _over_rest(replica: GrpcReplica, model: str, headers: Headers) -> tuple[str, str, str]:
    url = f"http://{replica.http_address}/v2/models/{model}/infer"
    sent = [*headers, ("content-type", JSON_TYPE)]
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=GOOD, headers=sent) as response,
    ):
        body = await response.json()
        status = STATUSES.get(response.status, str(response.status))
        return status, body.get("reason", ""), body.get("error", "")


class Stream:
    """A stream whose requests are sent one by one."""

    def __init__(self, replica: GrpcReplica, headers: Iterable[tuple[str, str]]) -> None:
        self._call = replica.stub.ModelStreamInfer(metadata=list(headers))

    async def ask(self, model: str) -> str:
        """The error that a request is answered with; '' for an answer."""
        await self._call.write(request(model, np.ones(2, np.float32)))
        answer = await self._call.read()
        assert answer is not grpc.aio.EOF
        return str(answer.error_message)

    async def end(self) -> grpc.StatusCode:
        """End it; its status."""
        await self._call.done_writing()
        await self._call.read()
        code: grpc.StatusCode = await self._call.code()
        return code
