"""ModelInfer on grpc.aio, bytes to bytes, so that both fronts and streams read requests with one code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from headrace.errors import HeadraceError
from headrace_inference.domain.extensions.tracing import RequestFacts
from headrace_inference.domain.ingress.async_inference import AsyncInference, InferCall
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.limits import FrontLimits, InFlightBytes
from headrace_inference.domain.ingress.receptions import Reception
from headrace_inference.domain.scheduling.queue_refusals import shutting_down
from headrace_inference.domain.scheduling.requests import RequestPlan
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.wire.codec.request_parser import (
    Parsed,
    RequestHeader,
    RequestParser,
    names_in,
)
from headrace_inference.wire.codec.responses import encode_answer, encode_shown
from headrace_inference.wire.codec.slow_requests import (
    decoding_takes_long,
    is_slow_to_parse,
    parse_large,
    size_of,
)
from headrace_inference.wire.codec.tensors import contents_of

Metadata = Iterable[tuple[str, str | bytes]] | None


class InferHandler:
    """Answers requests of the event loop that it was made on."""

    def __init__(self, ingress: Ingress, limits: FrontLimits) -> None:
        self._ingress = ingress
        self.held = InFlightBytes(limits)
        self.deadline_ns = ingress.deadline_ns
        self._tracer = ingress.tracer
        self._limit = limits.answers
        self._requests = AsyncInference(ingress, self._limit)
        self._parser = RequestParser()

    async def infer(self, payload: bytes, context: Any) -> bytes:
        """Answer one request. Raises HeadraceError."""
        with self.receiving(payload, self.deadline_ns(context.time_remaining())) as reception:
            parsed = await self.parse(payload)
            answer = await self.answer(parsed, reception, context.invocation_metadata())
        size = len(answer)
        self.held.hold_answer(size)
        context.add_done_callback(lambda _: self.held.answer_sent(size))
        return answer

    def receiving(self, payload: bytes, deadline: int | None) -> AbstractContextManager[Reception]:
        """Around a request with these bytes: it is counted once, however it ends."""
        return self._ingress.receptions.receiving(lambda: names_in(payload), deadline)

    def begin(self, payload: bytes, deadline: int | None) -> Reception:
        """A request with these bytes has come; whoever has it ends it."""
        return self._ingress.receptions.begin(lambda: names_in(payload), deadline)

    def stopping(self) -> HeadraceError:
        """What a stream is told that the replica's end ends: counted, since requests may follow in vain."""
        error = shutting_down()
        self._ingress.receptions.record_unread(error.reason)
        return error

    async def parse(self, payload: bytes) -> Parsed:
        """The request in these bytes, in a thread where that takes long. Raises HeadraceError."""
        if is_slow_to_parse(payload):
            return await asyncio.to_thread(parse_large, payload)
        return self._parser.parse(payload)

    async def answer(self, parsed: Parsed, reception: Reception, metadata: Metadata) -> bytes:
        """The answer to a request. Raises HeadraceError; a cancelled wait drops the request."""
        head = parsed.head

        def facts() -> RequestFacts:
            forwarded = self._tracer.grpc_headers.forwarded(metadata or ())
            return RequestFacts(parsed.id.decode(), {**head.parameters, **forwarded})

        call = InferCall(
            head.model_name,
            head.model_version,
            lambda served: _plan(head, served),
            lambda: contents_of(parsed, self._ingress.regions),
            reception,
            contents_take_long=decoding_takes_long(parsed),
            facts=facts,
        )
        with self.held.holding(size_of(parsed)):
            answer = await self._requests.infer(call)
        served, plan, route = answer.served, answer.pending.plan, answer.pending.route
        if answer.shown is not None:
            return encode_shown(served, plan, route, answer.shown, parsed.id, self._limit)
        return encode_answer(served, plan, route, answer.outputs, parsed.id, self._limit)


def _plan(head: RequestHeader, served: LoadedVersion) -> RequestPlan:
    """How requests with this head run on a version: remembered with the head."""
    plan = head.plans.get(served.id)
    if plan is None:
        plan = head.plans[served.id] = served.plan_request(head.inputs, head.outputs, head.options)
    return plan
