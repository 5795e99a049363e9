"""ModelInferResponse to its bytes: a head that depends on version, shape and route only, then the tensors.

The head is serialised once and kept with the version; an answer is the head, the request's id, and each
output's own bytes behind a tag and a length. Fields of a message may come in any order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from headrace.datatypes import to_wire, wire_size
from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.extensions.output_rendering import RenderedOutput
from headrace_inference.domain.ingress.limits import AnswerLimit
from headrace_inference.domain.scheduling.answering_version import AnsweringVersion
from headrace_inference.domain.scheduling.flagged_routes import route_parameters
from headrace_inference.domain.scheduling.requests import Array, BatchResult, RequestPlan
from headrace_inference.domain.scheduling.response_cache import ResponseFrame
from headrace_inference.wire.codec.protobuf_fields import varint

COPY_ONCE_BYTES = 65_536
"""Up to this size a batch's output becomes one `bytes` that is sliced; over it rows are sliced in place."""

PROTOBUF_LIMIT = AnswerLimit()

_ID_TAG = b"\x1a"
_RAW_TAG = b"\x32"


def encode_answers(
    served: AnsweringVersion,
    result: BatchResult,
    indexes: Sequence[int],
    ids: Sequence[bytes],
    limit: AnswerLimit = PROTOBUF_LIMIT,
) -> list[bytes]:
    """The answer to each of these requests of a batch, in their order.

    Raises ResourceExhausted (ANSWER_TOO_LARGE) before one is made that is over the limit.
    """
    if len(result.requests) == 1:
        (request,) = result.requests
        outputs = result.outputs_of(0)
        return [encode_answer(served, request.plan, request.route, outputs, ids[0], limit)]
    blobs = [_blob(output) for output in result.outputs]
    if None in blobs:
        return [
            encode_answer(
                served,
                result.requests[index].plan,
                result.requests[index].route,
                result.outputs_of(index),
                request_id,
                limit,
            )
            for index, request_id in zip(indexes, ids, strict=True)
        ]
    return _sliced_answers(served, result, indexes, ids, cast("list[bytes]", blobs), limit)


def _sliced_answers(
    served: AnsweringVersion,
    result: BatchResult,
    indexes: Sequence[int],
    ids: Sequence[bytes],
    blobs: Sequence[bytes],
    limit: AnswerLimit,
) -> list[bytes]:
    """Answers cut out of the batch's outputs, which have the batch's rows; most share a frame."""
    answers: list[bytes] = []
    plan: RequestPlan | None = None
    route = ""
    total = result.first_rows[-1]
    for index, request_id in zip(indexes, ids, strict=True):
        request = result.requests[index]
        if request.plan is not plan or request.route is not route:
            plan, route, rows = request.plan, request.route, request.plan.rows
            chosen = [result.outputs[place] for place in plan.outputs]
            shapes = tuple([(rows, *output.shape[1:]) for output in chosen])
            frame = _frame(served, plan.outputs, route, chosen, shapes)
            limit.check(frame.size)
            cut = [blobs[place] for place in plan.outputs]
            cuts = [
                (*pair, len(pair[1]) // total) for pair in zip(frame.prefixes, cut, strict=True)
            ]
        first = result.first_rows[index]
        parts = [frame.head] if not request_id else [frame.head, _id_field(request_id)]
        for prefix, blob, row_bytes in cuts:
            parts.append(prefix)
            parts.append(blob[first * row_bytes : (first + rows) * row_bytes])
        answers.append(b"".join(parts))
    return answers


def encode_answer(
    served: AnsweringVersion,
    plan: RequestPlan,
    route: str,
    outputs: Sequence[Array],
    request_id: bytes,
    limit: AnswerLimit = PROTOBUF_LIMIT,
) -> bytes:
    """The answer with these outputs, which are in the order of `plan.outputs`.

    Raises ResourceExhausted (ANSWER_TOO_LARGE) before it is made where it is over the limit.
    """
    shapes = tuple([output.shape for output in outputs])
    frame = _frame(served, plan.outputs, route, outputs, shapes)
    if frame.size > limit.max_bytes:
        limit.check(frame.size)
    if frame.has_texts:
        return _with_texts(frame, outputs, request_id, limit)
    parts: list[bytes | memoryview] = [frame.head, _id_field(request_id)]
    for prefix, output in zip(frame.prefixes, outputs, strict=True):
        parts.append(prefix)
        parts.append(_raw(output))
    return b"".join(parts)


def _with_texts(
    frame: ResponseFrame, outputs: Sequence[Array], request_id: bytes, limit: AnswerLimit
) -> bytes:
    contents = [_raw(output) for output in outputs]  # whose sizes take as long to find out
    limit.check(frame.size + sum(map(len, contents)))
    parts: list[bytes | memoryview] = [frame.head, _id_field(request_id)]
    for raw in contents:
        parts += (_RAW_TAG, varint(len(raw)), raw)
    return b"".join(parts)


def encode_rendered(
    served: AnsweringVersion,
    plan: RequestPlan,
    route: str,
    outputs: Sequence[RenderedOutput],
    request_id: bytes,
    limit: AnswerLimit = PROTOBUF_LIMIT,
) -> bytes:
    """The answer with these outputs; those in shared memory have no bytes in it.

    Raises ResourceExhausted (ANSWER_TOO_LARGE) before it is made where it is over the limit.
    """
    wanted = [(output.datatype, output.array.shape, output.window) for output in outputs]
    key = (plan.outputs, route, tuple(wanted))
    head = served.rendered_heads.get(key)
    if head is None:
        head = _rendered_message(served, route, outputs).SerializeToString()
        served.rendered_heads.keep(key, head)
    said = [output.array for output in outputs if output.window is None]
    limit.check(len(head) + sum(map(wire_size, said)))
    parts: list[bytes | memoryview] = [head, _id_field(request_id)]
    for output in outputs:
        raw = b"" if output.window is not None else to_wire(output.array)
        parts += (_RAW_TAG, varint(len(raw)), raw)
    return b"".join(parts)


def encode_end(served: AnsweringVersion, route: str, request_id: bytes) -> bytes:
    """The message that ends several answers: it has no outputs."""
    return _empty_message(served, route).SerializeToString() + _id_field(request_id)


def _rendered_message(
    served: AnsweringVersion, route: str, outputs: Sequence[RenderedOutput]
) -> pb.ModelInferResponse:
    message = _empty_message(served, route)
    for output in outputs:
        part = message.outputs.add(
            name=output.name, datatype=output.datatype.value, shape=output.array.shape
        )
        if output.window is not None:
            part.parameters["shared_memory_region"].string_param = output.window.region
            part.parameters["shared_memory_byte_size"].int64_param = output.window.byte_size
            part.parameters["shared_memory_offset"].int64_param = output.window.offset
    return message


def _frame(
    served: AnsweringVersion,
    places: tuple[int, ...],
    route: str,
    outputs: Sequence[Array],
    shapes: tuple[tuple[int, ...], ...],
) -> ResponseFrame:
    """The frame of answers with these outputs, or with parts of them that have these shapes."""
    key = (places, route, shapes)
    kept = served.response_frames.get(key)
    if kept is None:
        head = _message(served, places, route, shapes).SerializeToString()
        kept = _new_frame(head, [output.dtype for output in outputs], shapes)
        served.response_frames.keep(key, kept)
    return kept


def _new_frame(
    head: bytes, dtypes: Sequence[np.dtype[Any]], shapes: Sequence[tuple[int, ...]]
) -> ResponseFrame:
    if any(dtype.hasobject for dtype in dtypes):
        return ResponseFrame(head, (), len(head), has_texts=True)
    sizes = [math.prod(shape) * dtype.itemsize for shape, dtype in zip(shapes, dtypes, strict=True)]
    prefixes = tuple([_RAW_TAG + varint(size) for size in sizes])
    return ResponseFrame(
        head, prefixes, len(head) + sum(map(len, prefixes)) + sum(sizes), has_texts=False
    )


def _message(
    served: AnsweringVersion,
    places: tuple[int, ...],
    route: str,
    shapes: tuple[tuple[int, ...], ...],
) -> pb.ModelInferResponse:
    record = served.record
    message = _empty_message(served, route)
    for place, shape in zip(places, shapes, strict=True):
        spec = record.signature.outputs[place]
        message.outputs.add(name=spec.name, datatype=spec.datatype.value, shape=shape)
    return message


def _empty_message(served: AnsweringVersion, route: str) -> pb.ModelInferResponse:
    model = served.record.model
    message = pb.ModelInferResponse(model_name=model, model_version=served.version_text)
    for name, text in route_parameters(route).items():
        message.parameters[name].string_param = text
    return message


def _blob(output: Array) -> bytes | None:
    """A small output's bytes; None for one that is better sliced where it is, or is no plain memory."""
    if output.dtype.kind == "O" or output.nbytes > COPY_ONCE_BYTES:
        return None
    return output.tobytes()


def _raw(output: Array) -> bytes | memoryview:
    """An output's bytes: copied where they are few, else where they are."""
    if output.dtype.kind == "O":
        return to_wire(output)
    if output.nbytes <= COPY_ONCE_BYTES:
        return output.tobytes()
    contiguous = np.ascontiguousarray(output)
    return contiguous.reshape(-1).view(np.uint8).data


def _id_field(request_id: bytes) -> bytes:
    return _ID_TAG + varint(len(request_id)) + request_id if request_id else b""
