"""Requests of the protocol's wires as bytes: gRPC messages, JSON, and REST with binary tensors."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

import numpy as np

from benchmarks.models import Array, Measured
from headrace.inference import grpc_service_pb2 as pb

PATH_OF_STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What a POST of a request for a model needs."""

    path: str
    headers: tuple[str, ...]
    body: bytes


def tensor_bytes(array: Array) -> bytes:
    """A tensor as the protocol's raw contents."""
    if array.dtype != object:
        return array.tobytes()
    return b"".join(struct.pack("<I", len(text)) + text for text in array.ravel())


def grpc_message(model: Measured, rows: int = 1) -> bytes:
    """So many rows of the model as a ModelInferRequest."""
    array = np.repeat(model.row, rows, axis=0)
    message = pb.ModelInferRequest(model_name=model.name)
    message.inputs.add(name=model.input_name, datatype=model.datatype, shape=array.shape)
    message.raw_input_contents.append(tensor_bytes(array))
    return message.SerializeToString()


def json_request(model: Measured, rows: int = 1) -> HttpRequest:
    """The same with the data as JSON numbers or strings, and JSON for an answer."""
    array = np.repeat(model.row, rows, axis=0)
    flat = array.ravel().tolist()
    data = [text.decode() for text in flat] if array.dtype == object else flat
    body = json.dumps({"inputs": [_head(model, array) | {"data": data}]})
    return HttpRequest(_path(model), ("content-type: application/json",), body.encode())


def binary_request(model: Measured, rows: int = 1) -> HttpRequest:
    """The same by Triton's binary extension, and binary tensors for an answer."""
    array = np.repeat(model.row, rows, axis=0)
    raw = tensor_bytes(array)
    parameters = {"binary_data_size": len(raw)}
    head = json.dumps(
        {
            "inputs": [_head(model, array) | {"parameters": parameters}],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    headers = (
        "content-type: application/octet-stream",
        f"inference-header-content-length: {len(head)}",
    )
    return HttpRequest(_path(model), headers, head + raw)


def _path(model: Measured) -> str:
    return f"/v2/models/{model.name}/infer"


def _head(model: Measured, array: Array) -> dict[str, object]:
    return {"name": model.input_name, "datatype": model.datatype, "shape": list(array.shape)}
