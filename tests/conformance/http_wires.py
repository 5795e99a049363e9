"""Calls over HTTP: the binary-data extension, and plain JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.datatypes import (
    NUMPY_DTYPES,
    Datatype,
    decode_bytes_elements,
    encode_bytes_elements,
    to_wire,
)
from headrace.state.records import Signature, TensorSpec
from headrace_inference.domain.scheduling.requests import Array

HEADER_LENGTH = "Inference-Header-Content-Length"
_NOT_IN_JSON = (Datatype.FP16, Datatype.BF16)


@dataclass(frozen=True, slots=True)
class Body:
    """A body and its headers."""

    content: bytes
    headers: dict[str, str]


def binary_body(signature: Signature, inputs: Sequence[Array]) -> Body:
    """A request with all tensors behind the JSON, and asking for the outputs in that way."""
    parts = [
        encode_bytes_elements(array) if array.dtype.kind in "OSU" else to_wire(array)
        for array in inputs
    ]
    tensors = [
        _tensor(spec, array) | {"parameters": {"binary_data_size": len(part)}}
        for spec, array, part in zip(signature.inputs, inputs, parts, strict=True)
    ]
    head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    return Body(b"".join((head, *parts)), {HEADER_LENGTH: str(len(head))})


def json_body(signature: Signature, inputs: Sequence[Array]) -> Body:
    """A request that is all JSON; numbers that are not finite are strings."""
    tensors = [
        _tensor(spec, array) | {"data": [_json(value) for value in array.ravel().tolist()]}
        for spec, array in zip(signature.inputs, inputs, strict=True)
    ]
    content = json.dumps({"inputs": tensors}, allow_nan=False).encode()
    return Body(content, {"Content-Type": "application/json"})


def not_in_json(signature: Signature) -> str:
    """Why JSON cannot carry these inputs and outputs, or ''."""
    specs = (*signature.inputs, *signature.outputs)
    wrong = [spec for spec in specs if spec.datatype in _NOT_IN_JSON]
    return f"'{wrong[0].name}' is {wrong[0].datatype}" if wrong else ""


def outputs_of(signature: Signature, body: bytes, header_length: str | None) -> list[Array]:
    """The arrays of an answer, in the signature's order."""
    end = len(body) if header_length is None else int(header_length)
    outputs = json.loads(body[:end])["outputs"]
    assert [spec.name for spec in signature.outputs] == [output["name"] for output in outputs]
    arrays = []
    for output in outputs:
        size = output.get("parameters", {}).get("binary_data_size")
        raw = None if size is None else body[end : end + size]
        end += size or 0
        arrays.append(_array(output, raw))
    return arrays


def _tensor(spec: TensorSpec, array: Array) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": list(array.shape)}


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _array(output: dict[str, Any], raw: bytes | None) -> Array:
    dtype = NUMPY_DTYPES[Datatype(output["datatype"])]
    if raw is not None and dtype.kind != "O":
        return np.frombuffer(raw, dtype).reshape(output["shape"])
    if dtype.kind != "O":
        values = [float(value) if isinstance(value, str) else value for value in output["data"]]
        return np.array(values, dtype).reshape(output["shape"])
    elements = decode_bytes_elements(raw) if raw is not None else map(str.encode, output["data"])
    flat = list(elements)
    array = np.empty(len(flat), np.object_)
    array[:] = flat
    return array.reshape(output["shape"])
