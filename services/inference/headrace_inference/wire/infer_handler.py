"""ModelInfer on grpc.aio, bytes to bytes, so that both fronts and streams read requests with one code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from headrace_inference.domain.dataplane import DataPlane, Resolved
from headrace_inference.domain.tracing import RequestFacts
from headrace_inference.wire.answers import encode_answer, encode_shown
from headrace_inference.wire.contents import contents_of
from headrace_inference.wire.front_limits import FrontLimits, HeldRequests
from headrace_inference.wire.large_requests import (
    decoding_takes_long,
    parse_large,
    parsing_takes_long,
    size_of,
)
from headrace_inference.wire.request_parser import Head, Parsed, RequestParser
from headrace_inference.wire.waiting import InferCall, WaitingRequests, deadline_ns

Metadata = Iterable[tuple[str, str | bytes]] | None


class InferHandler:
    """Answers requests of the event loop that it was made on."""

    def __init__(self, dataplane: DataPlane, limits: FrontLimits) -> None:
        self._dataplane = dataplane
        self.held = HeldRequests(limits)
        self._tracer = dataplane.tracer
        self._requests = WaitingRequests(dataplane)
        self._parser = RequestParser()

    async def infer(self, payload: bytes, context: Any) -> bytes:
        """Answer one request. Raises HeadraceError."""
        deadline = deadline_ns(context.time_remaining())
        parsed = await self.parse(payload)
        answer = await self.answer(parsed, deadline, context.invocation_metadata())
        size = len(answer)
        self.held.hold_answer(size)
        context.add_done_callback(lambda _: self.held.answer_sent(size))
        return answer

    async def parse(self, payload: bytes) -> Parsed:
        """The request in these bytes, in a thread where that takes long. Raises HeadraceError."""
        if parsing_takes_long(payload):
            return await asyncio.to_thread(parse_large, payload)
        return self._parser.parse(payload)

    def _resolve(self, head: Head) -> Resolved:
        served, route = self._dataplane.keeper.table.pick(head.model_name, head.model_version)
        plan = head.plans.get(served.id)
        if plan is None:
            plan = head.plans[served.id] = served.plan(head.inputs, head.outputs, head.options)
        return Resolved(served, route, plan)

    async def answer(self, parsed: Parsed, deadline: int | None, metadata: Metadata) -> bytes:
        """The answer to a request. Raises HeadraceError; a cancelled wait drops the request."""
        head = parsed.head

        def facts() -> RequestFacts:
            forwarded = self._tracer.grpc_headers.forwarded(metadata or ())
            return RequestFacts(parsed.id.decode(), {**head.parameters, **forwarded})

        call = InferCall(
            head.model_name,
            lambda: self._resolve(head),
            lambda: contents_of(parsed, self._dataplane.regions),
            time.monotonic_ns(),
            deadline,
            contents_take_long=decoding_takes_long(parsed),
            facts=facts,
        )
        with self.held.holding(size_of(parsed)):
            answer = await self._requests.infer(call)
        served, plan, route = answer.served, answer.pending.plan, answer.pending.route
        if answer.shown is not None:
            return encode_shown(served, plan, route, answer.shown, parsed.id)
        return encode_answer(served, plan, route, answer.outputs, parsed.id)
