"""Texts in tensors for a version that embeds or reranks, and its vectors or scores as tensors."""

from __future__ import annotations

from dataclasses import replace

from headrace.errors import HeadraceError
from headrace.state.language_records import VersionKind
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.encoding.request_texts import (
    embedding_request,
    rerank_request,
    scores_of,
)
from headrace_inference.domain.encoding.requests import (
    EncoderModel,
    EncodingCall,
    EncodingRequest,
    Vectors,
)
from headrace_inference.domain.scheduling.batching import assemble
from headrace_inference.domain.scheduling.requests import BatchResult, InferenceRequest
from headrace_inference.domain.versions.responder import Responder
from headrace_inference.domain.versions.tensor_call import TensorCall


class TensorEncoding(TensorCall, EncodingCall):
    """The encoding of one request in tensors."""

    __slots__ = ("_asked",)

    def __init__(
        self, asked: InferenceRequest, request: EncodingRequest, sink: TensorEncodingSink
    ) -> None:
        self._asked = asked
        super().__init__(request, sink, asked.route, asked.received_ns, asked.deadline_ns)


class TensorEncodingSink:
    """Answers a request with its vectors."""

    def __init__(
        self, request: InferenceRequest, responder: Responder, clock: Clock, *, scores: bool
    ) -> None:
        self._scores = scores
        self._request = request
        self._responder = responder
        self._now_ns = clock.monotonic_ns
        self.call: EncodingCall | None = None

    def encoded(self, vectors: Vectors) -> None:
        """Send them, or a score for each."""
        began = self.call.started_ns if self.call is not None else 0
        times = (began, began, self._now_ns())
        rows = len(vectors)
        output = scores_of(vectors) if self._scores else vectors
        self._responder.respond(BatchResult([self._request], [output], (0, rows), times))

    def failed(self, error: HeadraceError) -> None:
        """Tell the error."""
        self._request.fail(error)


def encoding_call(
    model: EncoderModel, name: str, responder: Responder, clock: Clock, request: InferenceRequest
) -> TensorEncoding:
    """The call that a request in tensors is. Raises InvalidArgument."""
    arrays = [[str(text) for text in array.reshape(-1)] for array in assemble([request])]
    is_rerank = model.facts.kind is VersionKind.RERANK
    if is_rerank:
        encoding = rerank_request(model, name, arrays[0][0], arrays[1])
    else:
        encoding = embedding_request(model, name, arrays[0])
    encoding = replace(encoding, priority=request.plan.priority)
    sink = TensorEncodingSink(request, responder, clock, scores=is_rerank)
    sink.call = TensorEncoding(request, encoding, sink)
    return sink.call
