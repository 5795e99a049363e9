"""Call a served case on a wire, and say what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import grpc

from headrace.inference import grpc_service_pb2 as pb
from headrace.state.records import Signature
from headrace_inference.domain.scheduling.requests import Array
from tests.conformance import grpc_wires, http_wires
from tests.conformance.bare import Examined
from tests.conformance.cases import DataSet
from tests.conformance.outcomes import (
    Called,
    Outcome,
    Wire,
    are_close,
    compare,
    compare_forms,
)

CALL_SECONDS = 60.0
SHARING = 3
"""Requests that are to share one run."""

_MAX_MESSAGE_BYTES = 256 * 2**20
_FAILURES = (grpc.RpcError, aiohttp.ClientError, TimeoutError)


class Refused(aiohttp.ClientError):
    """An HTTP answer that is an error."""


class Caller:
    """A client of one server, over all its wires."""

    def __init__(
        self, channel: grpc.aio.Channel, session: aiohttp.ClientSession, http_address: str
    ) -> None:
        self._infer = channel.unary_unary(
            grpc_wires.METHOD,
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        self._session = session
        self._http = http_address

    async def call(self, wire: Wire, examined: Examined) -> Called:
        """What became of the case on this wire: the worst of its data sets."""
        signature = examined.signature
        obstacle = _obstacle(wire, signature)
        if obstacle:
            return Called(Outcome.NOT_CARRIED, obstacle)
        called = Called(Outcome.SAME)
        sets = zip(examined.case.data_sets, examined.answers, strict=True)
        for data_set, expected in sets:
            try:
                answers = await self._answers(wire, examined, data_set)
            except _FAILURES as error:
                return Called(Outcome.FAILED, " ".join(str(error).split()))
            for given in answers:
                found = _judge(wire, examined, expected, given)
                called = max(called, found, key=lambda one: list(Outcome).index(one.outcome))
        return called

    async def _answers(
        self, wire: Wire, examined: Examined, data_set: DataSet
    ) -> Sequence[list[Array]]:
        count = SHARING if wire is Wire.TOGETHER else 1
        name, signature, inputs = examined.case.name, examined.signature, data_set.inputs
        calls = [self.answer(wire, name, signature, inputs) for _ in range(count)]
        return await asyncio.gather(*calls)

    async def answer(
        self, wire: Wire, model: str, signature: Signature, inputs: Sequence[Array]
    ) -> list[Array]:
        """The outputs of one call."""
        if wire in (Wire.HTTP_BINARY, Wire.HTTP_JSON):
            return await self._over_http(wire, model, signature, inputs)
        typed = wire is Wire.GRPC_TYPED
        encode = grpc_wires.typed_request if typed else grpc_wires.raw_request
        response = await self._infer(encode(model, signature, inputs), timeout=CALL_SECONDS)
        return grpc_wires.outputs_of(signature, response)

    async def _over_http(
        self, wire: Wire, model: str, signature: Signature, inputs: Sequence[Array]
    ) -> list[Array]:
        encode = http_wires.binary_body if wire is Wire.HTTP_BINARY else http_wires.json_body
        body = encode(signature, inputs)
        url = f"http://{self._http}/v2/models/{model}/infer"
        async with self._session.post(url, data=body.content, headers=body.headers) as response:
            content = await response.read()
            if response.status != 200:
                raise Refused(f"{response.status} {content[:500]!r}")
            length = response.headers.get(http_wires.HEADER_LENGTH)
        return http_wires.outputs_of(signature, content, length)


@asynccontextmanager
async def open_caller(grpc_address: str, http_address: str) -> AsyncIterator[Caller]:
    """A client of a server at these addresses while inside."""
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES)]
    timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
    async with (
        grpc.aio.insecure_channel(grpc_address, options=options) as channel,
        aiohttp.ClientSession(timeout=timeout) as session,
    ):
        yield Caller(channel, session, http_address)


def _obstacle(wire: Wire, signature: Signature) -> str:
    if wire is Wire.GRPC_TYPED:
        return grpc_wires.not_typed(signature)
    return http_wires.not_in_json(signature) if wire is Wire.HTTP_JSON else ""


def _judge(
    wire: Wire, examined: Examined, expected: Sequence[Array], given: Sequence[Array]
) -> Called:
    signature = examined.signature
    if not examined.repeatable:
        difference = compare_forms(signature, expected, given)
        return Called(Outcome.DIFFERENT if difference else Outcome.RANDOM, difference)
    difference = compare(signature, expected, given, exact_nan=wire is not Wire.HTTP_JSON)
    if not difference:
        return Called(Outcome.SAME)
    rounding = wire is Wire.TOGETHER and are_close(expected, given)
    return Called(Outcome.CLOSE if rounding else Outcome.DIFFERENT, difference)
