"""An answer in its REST form: a JSON head, then the outputs that were wanted as binary data."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from headrace_inference.domain.extensions.output_rendering import RenderedOutput
from headrace_inference.domain.ingress.limits import AnswerLimit
from headrace_inference.domain.ingress.loop_inference import Answer
from headrace_inference.domain.scheduling.requests import OutputOptions, RequestPlan
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.wire.codec.responses import ROUTE_PARAMETER
from headrace_inference.wire.rest.requests import RestRequest
from headrace_inference.wire.rest.tensors import binary_contents, check_json, tensor_to_json


@dataclass(frozen=True, slots=True)
class EncodedAnswer:
    """A body: its JSON, and the binary tail, which is the outputs' own memory; None: there is no tail."""

    json: bytes
    tail: Sequence[bytes | memoryview] | None


def encode_rest_answer(request: RestRequest, answer: Answer, limit: AnswerLimit) -> EncodedAnswer:
    """The answer to a request.

    Raises InvalidArgument where JSON cannot carry an output, ResourceExhausted (ANSWER_TOO_LARGE) before it
    is made where its tensors are over the limit.
    """
    tail: list[bytes | memoryview] = []
    outputs = [
        _output(shown, tail, limit, binary=request.wants_binary(shown.name))
        for shown in _shown(answer)
    ]
    head = {
        "model_name": answer.version.record.model,
        "model_version": answer.version.version_text,
        **({"id": request.id} if request.id else {}),
        "parameters": {ROUTE_PARAMETER: answer.request.route},
        "outputs": outputs,
    }
    json = msgspec.json.encode(head)
    wants_tail = any("parameters" in output for output in outputs)  # those of binary data
    return EncodedAnswer(json, tail if wants_tail else None)


def check_answerable(request: RestRequest, served: LoadedVersion, plan: RequestPlan) -> None:
    """Refuse, before it runs, a request whose answer JSON could not carry. Raises InvalidArgument."""
    specs = served.record.signature.outputs
    for place, wanted in zip(
        plan.outputs, plan.output_options or itertools.repeat(OutputOptions()), strict=False
    ):
        if wanted == OutputOptions() and not request.wants_binary(specs[place].name):
            check_json(specs[place])


def json_bytes(request: RestRequest, answer: Answer) -> int:
    """The bytes of the tensors that an answer says in JSON."""
    said = [shown for shown in _shown(answer) if not request.wants_binary(shown.name)]
    return sum(shown.array.nbytes for shown in said)


def _shown(answer: Answer) -> Sequence[RenderedOutput]:
    if answer.rendered is not None:
        return answer.rendered
    specs = answer.version.record.signature.outputs
    return [
        RenderedOutput(specs[place].name, specs[place].datatype, array)
        for place, array in zip(answer.request.plan.outputs, answer.outputs, strict=True)
    ]


def _output(
    shown: RenderedOutput, tail: list[bytes | memoryview], limit: AnswerLimit, *, binary: bool
) -> dict[str, object]:
    output: dict[str, object] = {
        "name": shown.name,
        "datatype": shown.datatype.value,
        "shape": shown.array.shape,
    }
    if shown.window is not None:
        # No parameters: Triton's C++ client takes any to announce binary data, and the caller knows where.
        return output
    if binary:
        tail.append(binary_contents(shown.array))
        limit.check(sum(map(len, tail)))
        return output | {"parameters": {"binary_data_size": len(tail[-1])}}
    return output | {"data": msgspec.Raw(tensor_to_json(shown, shown.array, limit))}
