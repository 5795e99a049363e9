"""An answer in its REST form: a JSON head, then the outputs that were wanted as binary data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from headrace.state.records import TensorSpec
from headrace_inference.domain.requests import Array
from headrace_inference.wire.answers import ROUTE_PARAMETER
from headrace_inference.wire.rest_requests import RestRequest
from headrace_inference.wire.rest_tensors import binary_contents, values_to_json
from headrace_inference.wire.waiting import Answer


@dataclass(frozen=True, slots=True)
class EncodedAnswer:
    """A body, and how much of it is JSON; None: all."""

    body: bytes
    header_length: int | None


def encode_rest_answer(request: RestRequest, answer: Answer) -> EncodedAnswer:
    """The answer to a request. Raises InvalidArgument where JSON cannot carry an output."""
    tail: list[bytes | memoryview] = []
    specs = answer.served.record.signature.outputs
    outputs = [
        _output(specs[place], array, tail, binary=request.wants_binary(specs[place].name))
        for place, array in zip(answer.pending.plan.outputs, answer.outputs, strict=True)
    ]
    head = {
        "model_name": answer.served.record.model,
        "model_version": answer.served.version_text,
        **({"id": request.id} if request.id else {}),
        "parameters": {ROUTE_PARAMETER: answer.pending.route},
        "outputs": outputs,
    }
    json = msgspec.json.encode(head)
    wants_tail = any("parameters" in output for output in outputs)
    return EncodedAnswer(b"".join((json, *tail)), len(json) if wants_tail else None)


def _output(
    spec: TensorSpec, array: Array, tail: list[bytes | memoryview], *, binary: bool
) -> dict[str, Any]:
    output: dict[str, Any] = {
        "name": spec.name,
        "datatype": spec.datatype.value,
        "shape": array.shape,
    }
    if binary:
        tail.append(binary_contents(array))
        return output | {"parameters": {"binary_data_size": len(tail[-1])}}
    return output | {"data": values_to_json(spec, array)}
