"""ModelInferResponse to its bytes: a head that depends on version, shape and route only, then the tensors.

The head is serialised once and kept with the version; an answer is the head, the request's id, and each
output's own bytes behind a tag and a length. Fields of a message may come in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from headrace.datatypes import to_wire
from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.requests import Array, BatchResult, Plan
from headrace_inference.domain.served import ServedVersion
from headrace_inference.domain.shown import Shown
from headrace_inference.wire.protobuf_fields import varint

ROUTE_PARAMETER = "headrace.route"
MAX_KEPT_HEADS = 1024
COPY_ONCE_BYTES = 65_536
"""Up to this size a batch's output becomes one `bytes` that is sliced; over it rows are sliced in place."""

_ID_TAG = b"\x1a"
_RAW_TAG = b"\x32"


def encode_answers(
    served: ServedVersion, result: BatchResult, indexes: Sequence[int], ids: Sequence[bytes]
) -> list[bytes]:
    """The answer to each of these requests of a batch, in their order."""
    blobs = [_blob(output) for output in result.outputs]
    if result.requests[0].plan.batch_key is None or None in blobs:
        return [
            encode_answer(
                served,
                result.requests[index].plan,
                result.requests[index].route,
                result.outputs_of(index),
                request_id,
            )
            for index, request_id in zip(indexes, ids, strict=True)
        ]
    return _sliced_answers(served, result, indexes, ids, cast("list[bytes]", blobs))


def _sliced_answers(
    served: ServedVersion,
    result: BatchResult,
    indexes: Sequence[int],
    ids: Sequence[bytes],
    blobs: Sequence[bytes],
) -> list[bytes]:
    """Answers cut out of the batch's outputs; requests in a row mostly share their head."""
    answers: list[bytes] = []
    plan: Plan | None = None
    route = ""
    for index, request_id in zip(indexes, ids, strict=True):
        request = result.requests[index]
        if request.plan is not plan or request.route is not route:
            plan, route = request.plan, request.route
            head = _batch_head(served, plan, route, result.outputs)
            chosen = [blobs[place] for place in plan.outputs]
        answers.append(head.join(request_id, chosen, result.first_rows[index]))
    return answers


def encode_answer(
    served: ServedVersion, plan: Plan, route: str, outputs: Sequence[Array], request_id: bytes
) -> bytes:
    """The answer with these outputs, which are in the order of `plan.outputs`."""
    head = _head(served, plan.outputs, route, tuple(output.shape for output in outputs))
    parts: list[bytes | memoryview] = [head, _id_field(request_id)]
    for output in outputs:
        raw = to_wire(output) if output.dtype.kind == "O" else _buffer(output)
        parts += (_RAW_TAG, varint(len(raw)), raw)
    return b"".join(parts)


def encode_shown(
    served: ServedVersion, plan: Plan, route: str, outputs: Sequence[Shown], request_id: bytes
) -> bytes:
    """The answer with these outputs; those in shared memory have no bytes in it."""
    wanted = [(output.datatype, output.array.shape, output.window) for output in outputs]
    key = (plan.outputs, route, tuple(wanted))
    head: bytes | None = served.memo.get(key)
    if head is None:
        head = _shown_message(served, route, outputs).SerializeToString()
        _keep(served, key, head)
    parts: list[bytes | memoryview] = [head, _id_field(request_id)]
    for output in outputs:
        raw = b"" if output.window is not None else to_wire(output.array)
        parts += (_RAW_TAG, varint(len(raw)), raw)
    return b"".join(parts)


def _shown_message(
    served: ServedVersion, route: str, outputs: Sequence[Shown]
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


@dataclass(frozen=True, slots=True)
class _BatchHead:
    """What the answers of one plan's requests in a batch share: their head, and each output's row size."""

    head: bytes
    outputs: tuple[tuple[int, bytes], ...]
    """Of each output: bytes a row, and the tag and length in front of this plan's rows."""
    rows: int

    def join(self, request_id: bytes, blobs: Sequence[bytes], first: int) -> bytes:
        """The answer whose rows begin at `first` in the batch."""
        parts = [self.head] if not request_id else [self.head, _id_field(request_id)]
        for (row_bytes, prefix), blob in zip(self.outputs, blobs, strict=True):
            parts.append(prefix)
            parts.append(blob[first * row_bytes : (first + self.rows) * row_bytes])
        return b"".join(parts)


def _batch_head(
    served: ServedVersion, plan: Plan, route: str, outputs: Sequence[Array]
) -> _BatchHead:
    chosen = [outputs[place] for place in plan.outputs]
    tails = tuple([output.shape[1:] for output in chosen])
    key = (plan.outputs, route, plan.rows, tails)
    kept: _BatchHead | None = served.memo.get(key)
    if kept is None:
        shapes = tuple((plan.rows, *tail) for tail in tails)
        sizes = [output.nbytes // max(1, output.shape[0]) for output in chosen]
        prefixes = tuple((size, _RAW_TAG + varint(size * plan.rows)) for size in sizes)
        kept = _BatchHead(_head(served, plan.outputs, route, shapes), prefixes, plan.rows)
        _keep(served, key, kept)
    return kept


def _head(
    served: ServedVersion, places: tuple[int, ...], route: str, shapes: tuple[tuple[int, ...], ...]
) -> bytes:
    key = (places, route, shapes)
    kept: bytes | None = served.memo.get(key)
    if kept is None:
        kept = _message(served, places, route, shapes).SerializeToString()
        _keep(served, key, kept)
    return kept


def _message(
    served: ServedVersion, places: tuple[int, ...], route: str, shapes: tuple[tuple[int, ...], ...]
) -> pb.ModelInferResponse:
    record = served.record
    message = _empty_message(served, route)
    for place, shape in zip(places, shapes, strict=True):
        spec = record.signature.outputs[place]
        message.outputs.add(name=spec.name, datatype=spec.datatype.value, shape=shape)
    return message


def _empty_message(served: ServedVersion, route: str) -> pb.ModelInferResponse:
    model = served.record.model
    message = pb.ModelInferResponse(model_name=model, model_version=served.version_text)
    message.parameters[ROUTE_PARAMETER].string_param = route
    return message


def _keep(served: ServedVersion, key: object, value: object) -> None:
    if len(served.memo) >= MAX_KEPT_HEADS:
        served.memo.clear()  # outputs of endless shapes: start over rather than grow
    served.memo[key] = value


def _blob(output: Array) -> bytes | None:
    """A small output's bytes; None for one that is better sliced where it is, or is no plain memory."""
    if output.dtype.kind == "O" or output.nbytes > COPY_ONCE_BYTES:
        return None
    return output.tobytes()


def _buffer(output: Array) -> memoryview:
    contiguous = np.ascontiguousarray(output)
    return contiguous.reshape(-1).view(np.uint8).data


def _id_field(request_id: bytes) -> bytes:
    return _ID_TAG + varint(len(request_id)) + request_id if request_id else b""
