"""A request of a model by each wire, with what its route may look at: a header and a parameter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np

from headrace.inference import grpc_service_pb2 as pb
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica

TIMEOUT_SECONDS = 20


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Question:
    """What is asked of which model: some INT64 values x, and what the request says beside them."""

    model: str
    values: tuple[int, ...] = (1,)
    headers: Pairs = ()
    parameters: Pairs = ()


@dataclass(frozen=True)
class Said:
    """Which version answered, and why; '' where the wire does not say it."""

    version: str
    route: str


Ask = Callable[[GrpcReplica, Question], Awaitable[Said]]


def _message(asked: Question) -> Any:
    message = pb.ModelInferRequest(model_name=asked.model)
    message.inputs.add(name="x", datatype="INT64", shape=[len(asked.values)])
    message.raw_input_contents.append(np.array(asked.values, np.int64).tobytes())
    for name, value in asked.parameters:
        message.parameters[name].string_param = value
    return message


def _typed(asked: Question) -> Any:
    message = _message(asked)
    message.ClearField("raw_input_contents")
    message.inputs[0].contents.int64_contents.extend(asked.values)
    return message


def _said(answer: Any) -> Said:
    return Said(answer.model_version, answer.parameters["headrace.route"].string_param)


async def by_call(replica: GrpcReplica, asked: Question) -> Said:
    """One call of ModelInfer with raw contents, which the native front knows by their bytes."""
    call = replica.stub.ModelInfer(
        _message(asked), timeout=TIMEOUT_SECONDS, metadata=asked.headers or None
    )
    return _said(await call)


async def by_typed_call(replica: GrpcReplica, asked: Question) -> Said:
    """One call with typed contents."""
    call = replica.stub.ModelInfer(
        _typed(asked), timeout=TIMEOUT_SECONDS, metadata=asked.headers or None
    )
    return _said(await call)


async def by_stream(replica: GrpcReplica, asked: Question) -> Said:
    """One request of a stream."""
    stream = replica.stub.ModelStreamInfer(timeout=TIMEOUT_SECONDS, metadata=asked.headers or None)
    await stream.write(_message(asked))
    await stream.done_writing()
    (answer,) = [message async for message in stream]
    return _said(answer.infer_response)


async def _posted(replica: GrpcReplica, asked: Question, path: str, body: object) -> Any:
    url = f"http://{replica.http_address}/v2/models/{asked.model}/{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body, headers=dict(asked.headers)) as response,
    ):
        return await response.json()


async def by_rest(replica: GrpcReplica, asked: Question) -> Said:
    """One REST request."""
    shape, data = [len(asked.values)], list(asked.values)
    tensor = {"name": "x", "datatype": "INT64", "shape": shape, "data": data}
    body = {"inputs": [tensor], "parameters": dict(asked.parameters)}
    answer = await _posted(replica, asked, "infer", body)
    return Said(answer["model_version"], answer["parameters"]["headrace.route"])


async def by_generate(replica: GrpcReplica, asked: Question) -> Said:
    """One request of the generate form, whose answers do not say the route."""
    body = {"x": list(asked.values), **dict(asked.parameters)}
    answer = await _posted(replica, asked, "generate", body)
    return Said(answer["model_version"], "")


WIRES: tuple[tuple[str, Ask], ...] = (
    *((front, by_call) for front in FRONTS),
    *((front, by_typed_call) for front in FRONTS),
    *((front, by_stream) for front in FRONTS),
    ("native", by_rest),
    ("native", by_generate),
)
