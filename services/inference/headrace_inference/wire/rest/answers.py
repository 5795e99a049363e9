"""An answer in its REST form: a JSON head, then the outputs that were wanted as binary data.

What answers with outputs of the same shapes share is made once and kept with the version.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.service.http.answers import JSON_TYPE, Part, Response
from headrace_inference.domain.extensions.output_rendering import RenderedOutput
from headrace_inference.domain.ingress.limits import AnswerLimit
from headrace_inference.domain.ingress.loop_inference import Answer
from headrace_inference.domain.scheduling.flagged_routes import route_parameters
from headrace_inference.domain.scheduling.requests import OutputOptions, RequestPlan
from headrace_inference.domain.scheduling.response_cache import JsonFrame
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.wire.rest.requests import HEADER_LENGTH, RestRequest
from headrace_inference.wire.rest.tensors import binary_contents, check_json, tensor_to_json

_JSON = f"Content-Type: {JSON_TYPE}\r\n".encode()
_BINARY = b"Content-Type: application/octet-stream\r\n" + HEADER_LENGTH.encode() + b": %d\r\n"
_HOLE = b'"\x00"'
"""Stands in a frame where values go: no JSON text has such a byte."""


def encode_rest_answer(request: RestRequest, answer: Answer, limit: AnswerLimit) -> Response:
    """The answer to a request.

    Raises InvalidArgument where JSON cannot carry an output, ResourceExhausted (ANSWER_TOO_LARGE) before it
    is made where its tensors are over the limit.
    """
    if answer.rendered is None:
        frame = _frame(request, answer)
        if frame is not None:
            return _framed(frame, request, answer, limit)
    return _from_anew(request, answer, limit)


def _framed(frame: JsonFrame, request: RestRequest, answer: Answer, limit: AnswerLimit) -> Response:
    """The answer whose text is kept, but for what differs."""
    specs = answer.version.record.signature.outputs
    if frame.tail_bytes:
        limit.check(frame.tail_bytes)
    pieces = frame.pieces
    parts: list[Part] = [pieces[0]]
    if request.id:
        parts.append(b',"id":' + msgspec.json.encode(request.id))
    parts.append(pieces[1])
    tail: list[Part] = []
    at = 2
    for place, array in zip(answer.request.plan.outputs, answer.outputs, strict=True):
        spec = specs[place]
        if request.wants_binary(spec.name):
            tail.append(binary_contents(array))
        else:
            parts.append(tensor_to_json(spec, array, limit))
            parts.append(pieces[at])
            at += 1
    if not frame.tail_bytes and not tail:
        return Response(parts, head=_JSON, compressible=True)
    head = _BINARY % sum(map(len, parts))
    return Response(parts + tail, head=head, compressible=True)


def _frame(request: RestRequest, answer: Answer) -> JsonFrame | None:
    """The frame of answers like this; None where the lengths of texts stand in it."""
    version, plan, route = answer.version, answer.request.plan, answer.request.route
    specs = version.record.signature.outputs
    shapes = tuple([array.shape for array in answer.outputs])
    binary = tuple([request.wants_binary(specs[place].name) for place in plan.outputs])
    key = (plan.outputs, route, shapes, binary)
    frame = version.json_frames.get(key)
    if frame is None:
        for place, is_binary in zip(plan.outputs, binary, strict=True):
            if is_binary and specs[place].datatype is Datatype.BYTES:
                return None
        frame = _new_frame(answer, shapes, binary)
        version.json_frames.keep(key, frame)
    return frame


def _new_frame(
    answer: Answer, shapes: Sequence[tuple[int, ...]], binary: Sequence[bool]
) -> JsonFrame:
    record = answer.version.record
    start = {"model_name": record.model, "model_version": answer.version.version_text}
    outputs = []
    tail_bytes = 0
    for place, array, shape, is_binary in zip(
        answer.request.plan.outputs, answer.outputs, shapes, binary, strict=True
    ):
        spec = record.signature.outputs[place]
        size = array.size * NUMPY_DTYPES[spec.datatype].itemsize if is_binary else 0
        shown = _described(spec.name, spec.datatype, shape)
        if is_binary:
            shown["parameters"] = {"binary_data_size": size}
            tail_bytes += size
        else:
            shown["data"] = msgspec.Raw(_HOLE)
        outputs.append(shown)
    rest = {"parameters": route_parameters(answer.request.route), "outputs": outputs}
    pieces = (b"," + msgspec.json.encode(rest)[1:]).split(_HOLE)
    return JsonFrame((msgspec.json.encode(start)[:-1], *pieces), tail_bytes)


def _described(name: str, datatype: Datatype, shape: tuple[int, ...]) -> dict[str, object]:
    return {"name": name, "datatype": datatype.value, "shape": shape}


def _from_anew(request: RestRequest, answer: Answer, limit: AnswerLimit) -> Response:
    tail: list[Part] = []
    outputs = [
        _output(shown, tail, limit, binary=request.wants_binary(shown.name))
        for shown in _shown(answer)
    ]
    head = {
        "model_name": answer.version.record.model,
        "model_version": answer.version.version_text,
        **({"id": request.id} if request.id else {}),
        "parameters": route_parameters(answer.request.route),
        "outputs": outputs,
    }
    json = msgspec.json.encode(head)
    wants_tail = any("parameters" in output for output in outputs)  # those of binary data
    if not wants_tail:
        return Response(json, head=_JSON, compressible=True)
    return Response([json, *tail], head=_BINARY % len(json), compressible=True)


def check_answerable(request: RestRequest, served: LoadedVersion, plan: RequestPlan) -> None:
    """Refuse, before it runs, a request whose answer JSON could not carry. Raises InvalidArgument."""
    specs = served.record.signature.outputs
    for place, wanted in zip(
        plan.outputs, plan.output_options or itertools.repeat(OutputOptions()), strict=False
    ):
        if wanted == OutputOptions() and not request.wants_binary(specs[place].name):
            check_json(specs[place])


def _shown(answer: Answer) -> Sequence[RenderedOutput]:
    if answer.rendered is not None:
        return answer.rendered
    specs = answer.version.record.signature.outputs
    return [
        RenderedOutput(specs[place].name, specs[place].datatype, array)
        for place, array in zip(answer.request.plan.outputs, answer.outputs, strict=True)
    ]


def _output(
    shown: RenderedOutput, tail: list[Part], limit: AnswerLimit, *, binary: bool
) -> dict[str, object]:
    output = _described(shown.name, shown.datatype, shown.array.shape)
    if shown.window is not None:
        # No parameters: Triton's C++ client takes any to announce binary data, and the caller knows where.
        return output
    if binary:
        tail.append(binary_contents(shown.array))
        limit.check(sum(map(len, tail)))
        return output | {"parameters": {"binary_data_size": len(tail[-1])}}
    return output | {"data": msgspec.Raw(tensor_to_json(shown, shown.array, limit))}
