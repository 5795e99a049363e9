"""ModelInfer on grpc.aio, bytes to bytes, so that both fronts read requests with one code."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from dataclasses import dataclass

import grpc

from headrace.security.credentials import PeerCertificate
from headrace.service.grpc_admission import CertificateOf
from headrace_inference.domain.ingress.async_inference import AsyncInference
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.loop_inference import Answer
from headrace_inference.domain.ingress.receptions import Reception
from headrace_inference.domain.routing.request_texts import Headers
from headrace_inference.wire.codec.message_request import MessageRequest
from headrace_inference.wire.codec.request_parser import ParsedMessage, RequestParser, names_in
from headrace_inference.wire.codec.responses import encode_answer, encode_rendered
from headrace_inference.wire.codec.slow_requests import is_slow_to_parse, parse_large, size_of

Context = grpc.aio.ServicerContext[bytes, bytes]


@dataclass(slots=True, eq=False)
class LoopRequest(MessageRequest):
    """A request of a call on the event loop, with the metadata of that."""

    metadata: Headers
    certificate: PeerCertificate | None = None


class InferHandler:
    """Answers requests of the event loop that it was made on."""

    def __init__(self, ingress: Ingress, certificate_of: CertificateOf = lambda _: None) -> None:
        self._ingress = ingress
        self._callers = ingress.callers
        self._certificate_of = certificate_of
        self.deadline_ns = ingress.deadline_ns
        self._limit = ingress.limits.answers
        self._inference = AsyncInference(ingress, self._limit)
        self._parser = RequestParser()

    async def infer(self, payload: bytes, context: Context) -> bytes:
        """Answer one request. Raises HeadraceError."""
        with self.receiving(payload, self.deadline_ns(context.time_remaining())) as reception:
            metadata = context.invocation_metadata() or ()
            certificate = None
            if self._callers.are_checked:
                certificate = self._certificate_of(context)
                await self._check_beforehand(payload, metadata, certificate)
            parsed = await self.parse(payload)
            answer = await self.answer(parsed, reception, metadata, certificate)
        size = len(answer)
        self.hold_answer(size)
        context.add_done_callback(
            lambda _: self.release_answers(size)  # type: ignore[arg-type]  # the stubs know no function
        )
        return answer

    async def _check_beforehand(
        self, payload: bytes, metadata: Headers, certificate: PeerCertificate | None
    ) -> None:
        """Refuse whoever may not call the model, so that its message is not parsed.

        Of several names in a message the last one counts: it is checked again when it is parsed.
        """
        name, _ = names_in(payload)
        if name:
            await self._inference.enter(metadata, name, certificate)

    def receiving(self, payload: bytes, deadline: int | None) -> AbstractContextManager[Reception]:
        """Around a request with these bytes: it is counted once, however it ends."""
        return self._ingress.receptions.receiving(lambda: names_in(payload), deadline)

    def hold_answer(self, size: int) -> None:
        """Hold an answer until it is sent: callers who do not read must not make the process grow."""
        self._ingress.budget.hold_answers(size)

    def release_answers(self, size: int) -> None:
        """Answers of so many bytes are sent, or will never be."""
        self._ingress.budget.release(0, size)

    async def parse(self, payload: bytes) -> ParsedMessage:
        """The request in these bytes, in a thread where that takes long. Raises HeadraceError."""
        if is_slow_to_parse(payload):
            return await asyncio.to_thread(parse_large, payload)
        return self._parser.parse(payload)

    async def answer(
        self,
        parsed: ParsedMessage,
        reception: Reception,
        metadata: Headers,
        certificate: PeerCertificate | None,
    ) -> bytes:
        """The answer to a request. Raises HeadraceError; a cancelled wait drops the request."""
        incoming = LoopRequest(
            parsed.payload,
            parsed.header,
            parsed.id,
            parsed.raw,
            parsed.template,
            metadata,
            certificate,
        )
        answer = await self._inference.infer(incoming, reception, size_of(parsed))
        return self._encoded(answer, parsed.id)

    def _encoded(self, answer: Answer, request_id: bytes) -> bytes:
        version, plan, route = answer.version, answer.request.plan, answer.request.route
        if answer.rendered is not None:
            return encode_rendered(version, plan, route, answer.rendered, request_id, self._limit)
        return encode_answer(version, plan, route, answer.outputs, request_id, self._limit)
