"""Calls of a model of tensors in the Open Inference Protocol, in five languages."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

from headrace.datatype_names import Datatype
from headrace.model_calls.example_calls import (
    Fill,
    javascript_fill,
    members,
    python_fill,
    python_literal,
)
from headrace.model_calls.example_inputs import ExampleTensor
from headrace.model_calls.places import KEY, CopiedCall, Place

Literal = Callable[[object], str]

_WITHOUT_JSON = (Datatype.FP16, Datatype.BF16)
"""Those whose values do not travel as JSON."""

_TYPED = {
    Datatype.BOOL: "bool_contents",
    Datatype.INT8: "int_contents",
    Datatype.INT16: "int_contents",
    Datatype.INT32: "int_contents",
    Datatype.INT64: "int64_contents",
    Datatype.UINT8: "uint_contents",
    Datatype.UINT16: "uint_contents",
    Datatype.UINT32: "uint_contents",
    Datatype.UINT64: "uint64_contents",
    Datatype.FP32: "fp32_contents",
    Datatype.FP64: "fp64_contents",
    Datatype.BYTES: "bytes_contents",
}
"""The field of gRPC's messages for values of each datatype."""

_NUMPY = {
    Datatype.BOOL: "np.bool_",
    Datatype.FP16: "np.float16",
    Datatype.FP32: "np.float32",
    Datatype.FP64: "np.float64",
    Datatype.BYTES: "object",
}

_METHOD = "inference.GRPCInferenceService/ModelInfer"


def protocol_calls(
    model: str, version: str, place: Place, inputs: Sequence[ExampleTensor], outputs: Sequence[str]
) -> Iterator[CopiedCall]:
    """Calls of a version ('': that of the route) with these inputs, in each language that can say them."""
    datatypes = {tensor.datatype for tensor in inputs}
    speaks_json = datatypes.isdisjoint(_WITHOUT_JSON)
    if speaks_json:
        yield CopiedCall("curl", "sh", _curl(model, version, place, inputs))
    yield CopiedCall("Python", "python", _python(model, version, place, inputs))
    if speaks_json:
        yield CopiedCall("JavaScript", "javascript", _javascript(model, version, place, inputs))
        yield CopiedCall("grpcurl", "sh", _grpcurl(model, version, place, inputs))
    if Datatype.BF16 not in datatypes:
        code = _tritonclient(model, version, place, inputs, outputs)
        yield CopiedCall("tritonclient", "python", code)


def infer_url(model: str, version: str, place: Place) -> str:
    """The URL that a model is called at."""
    of_version = f"/versions/{quote(version)}" if version else ""
    return f"{place.url}/v2/models/{quote(model)}{of_version}/infer"


def request_of(inputs: Sequence[ExampleTensor]) -> dict[str, object]:
    """The request as JSON; inputs whose values are many have them all the same."""
    return {
        "inputs": [
            {
                "name": each.name,
                "datatype": each.datatype.value,
                "shape": list(each.shape),
                "data": each.flat(),
            }
            for each in inputs
        ]
    }


def _curl(model: str, version: str, place: Place, inputs: Sequence[ExampleTensor]) -> str:
    key = f' -H "Authorization: Bearer {KEY}"' if place.needs_key else ""
    call = f"curl -s {infer_url(model, version, place)}{key}"
    return _sent(inputs, _document, call, "@-")


def _sent(
    inputs: Sequence[ExampleTensor],
    document: Callable[[Sequence[ExampleTensor], Literal, Fill], str],
    call: str,
    from_input: str,
    rest: str = "",
) -> str:
    """A command with its body, which Python writes where it is long; `from_input` has it read there."""
    if all(tensor.is_written_out for tensor in inputs):
        body = document(inputs, _json, python_fill)
        return f"{call} -d {shlex.quote(body)}{rest}"
    code = f"import json; print(json.dumps({document(inputs, python_literal, python_fill)}))"
    return f"python3 -c {shlex.quote(code)} | {call} -d {from_input}{rest}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _document(inputs: Sequence[ExampleTensor], literal: Literal, fill: Fill) -> str:
    return f'{{"inputs": [{", ".join(_tensor(each, literal, fill) for each in inputs)}]}}'


def _tensor(tensor: ExampleTensor, literal: Literal, fill: Fill) -> str:
    return (
        f'{{"name": {literal(tensor.name)}, "datatype": "{tensor.datatype.value}", '
        f'"shape": {literal(list(tensor.shape))}, "data": {_data(tensor, literal, fill)}}}'
    )


def _data(tensor: ExampleTensor, literal: Literal, fill: Fill) -> str:
    if tensor.is_written_out:
        return literal(tensor.flat())
    return fill(literal(tensor.element), tensor.size)


def _python(model: str, version: str, place: Place, inputs: Sequence[ExampleTensor]) -> str:
    key = ', token_file="headrace.key"' if place.needs_key else ""
    numbered = f", version={version if version.isdigit() else python_literal(version)}"
    values = members(inputs, python_literal, python_fill)
    return (
        "import headrace\n\n"
        f"with headrace.Client(inference={python_literal(place.grpc_address)}{key}) as client:\n"
        f"    answer = client.infer({python_literal(model)}, {values}{numbered if version else ''})\n"
        "    print(answer.outputs)\n"
    )


def _javascript(model: str, version: str, place: Place, inputs: Sequence[ExampleTensor]) -> str:
    headers = '"Content-Type": "application/json"'
    headers += ", Authorization: `Bearer ${key}`" if place.needs_key else ""
    return (
        f"const response = await fetch({_json(infer_url(model, version, place))}, {{\n"
        f'  method: "POST",\n  headers: {{ {headers} }},\n'
        f"  body: JSON.stringify({_document(inputs, _json, javascript_fill)}),\n"
        "});\nconsole.log(await response.json());\n"
    )


def _grpcurl(model: str, version: str, place: Place, inputs: Sequence[ExampleTensor]) -> str:
    plain = "" if place.is_tls else " -plaintext"
    key = f' -H "authorization: Bearer {KEY}"' if place.needs_key else ""

    def document(inputs: Sequence[ExampleTensor], literal: Literal, fill: Fill) -> str:
        tensors = ", ".join(_typed(each, literal, fill) for each in inputs)
        of_version = f', "model_version": {literal(version)}' if version else ""
        return f'{{"model_name": {literal(model)}{of_version}, "inputs": [{tensors}]}}'

    return _sent(inputs, document, f"grpcurl{plain}{key}", "@", f" {place.grpc} {_METHOD}")


def _typed(tensor: ExampleTensor, literal: Literal, fill: Fill) -> str:
    values = _data(tensor.as_base64(), literal, fill)
    return (
        f'{{"name": {literal(tensor.name)}, "datatype": "{tensor.datatype.value}", '
        f'"shape": {literal(list(tensor.shape))}, "contents": {{"{_TYPED[tensor.datatype]}": {values}}}}}'
    )


def _tritonclient(
    model: str,
    version: str,
    place: Place,
    inputs: Sequence[ExampleTensor],
    outputs: Sequence[str],
) -> str:
    tls = ", ssl=True" if place.is_tls else ""
    more = f", model_version={python_literal(version)}" if version else ""
    more += ', headers={"Authorization": f"Bearer {key}"}' if place.needs_key else ""
    lines = [
        "import numpy as np",
        "import tritonclient.http as triton",
        "",
        f"client = triton.InferenceServerClient({python_literal(place.http)}{tls})",
        "inputs = []",
    ]
    for tensor in inputs:
        shape = python_literal(list(tensor.shape))
        name, datatype = python_literal(tensor.name), tensor.datatype.value
        lines += [
            f'inputs.append(triton.InferInput({name}, {shape}, "{datatype}"))',
            f"inputs[-1].set_data_from_numpy({_array(tensor, shape)})",
        ]
    lines.append(f"answer = client.infer({python_literal(model)}, inputs{more})")
    lines += [f"print(answer.as_numpy({python_literal(name)}))" for name in outputs]
    return "\n".join(lines) + "\n"


def _array(tensor: ExampleTensor, shape: str) -> str:
    dtype = _NUMPY.get(tensor.datatype, f"np.{tensor.datatype.value.lower()}")
    if tensor.is_written_out:
        return f"np.array({python_literal(tensor.values())}, dtype={dtype})"
    return f"np.full({shape}, {python_literal(tensor.element)}, dtype={dtype})"
