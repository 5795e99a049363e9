"""The messages of a stream's caller, in either form of the answer.

Triton's wraps each answer in a ModelStreamInferResponse, whose errors are texts beside the answers of other
requests; MLServer's is the bare ModelInferResponse, so an error can only end the call.
"""

from __future__ import annotations

from typing import Literal

from headrace.errors import HeadraceError
from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.ingress.limits import AnswerLimit
from headrace_inference.domain.ingress.loop_inference import Answer
from headrace_inference.domain.scheduling.requests import ResponsePart
from headrace_inference.wire.codec.protobuf_fields import varint
from headrace_inference.wire.codec.request_parser import ParsedMessage
from headrace_inference.wire.codec.responses import encode_answer, encode_end, encode_rendered

StreamResponse = Literal["triton", "mlserver"]

FINAL_PARAMETER = "triton_final_response"
"""Triton's own load generator waits for ever for an answer without it."""

ENABLE_EMPTY_FINAL = "triton_enable_empty_final_response"
"""The parameter of a request whose caller wants the end of several responses as a message of its own."""

_FINAL, _NOT_FINAL = (
    pb.ModelInferResponse(
        parameters={FINAL_PARAMETER: pb.InferParameter(bool_param=is_final)}
    ).SerializeToString()
    for is_final in (True, False)
)
_INFER_RESPONSE_TAG = b"\x12"


def encode(answer: Answer, limit: AnswerLimit) -> bytes:
    """A ModelInferResponse. The END of several is empty, unless the request asked to have it sent."""
    parsed: ParsedMessage = answer.request.reply
    version, plan, route = answer.version, answer.request.plan, answer.request.route
    if answer.part is ResponsePart.END:
        if not parsed.header.parameters.get(ENABLE_EMPTY_FINAL):
            return b""
        return encode_end(version, route, parsed.id)
    if answer.rendered is not None:
        return encode_rendered(version, plan, route, answer.rendered, parsed.id, limit)
    return encode_answer(version, plan, route, answer.outputs, parsed.id, limit)


def wrapped(response: bytes, *, is_last: bool) -> bytes:
    """Wrap a response as Triton does, and tell whether it is the last to its request."""
    final = _FINAL if is_last else _NOT_FINAL
    length = varint(len(response) + len(final))
    return b"".join((_INFER_RESPONSE_TAG, length, response, final))


def error_message(request_id: bytes, error: HeadraceError) -> bytes:
    """An error in the place of an answer, as Triton tells it."""
    response = pb.ModelInferResponse(id=request_id.decode())
    message = pb.ModelStreamInferResponse(error_message=error.message, infer_response=response)
    return message.SerializeToString()
