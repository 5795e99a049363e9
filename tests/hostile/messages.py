"""Requests byte by byte: what the generated code would never write."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from headrace.inference import grpc_service_pb2 as pb

NAME, VERSION, ID, PARAMETERS, INPUTS, OUTPUTS, RAW = range(1, 8)
"""The fields of ModelInferRequest."""

INFER = "/inference.GRPCInferenceService/ModelInfer"
TWO_FLOATS = struct.pack("<2f", 1.0, 2.0)


def varint(value: int) -> bytes:
    """A protobuf varint of any size, also of more than 64 bits."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(parts) + bytes([value])


_VARINTS = {size: varint(size) for size in range(128)}


def field(number: int, content: bytes | str | int, wire_type: int | None = None) -> bytes:
    """A field: bytes and text with their length, a number as a varint, unless `wire_type` says else."""
    if isinstance(content, int):
        return varint(number << 3 | (0 if wire_type is None else wire_type)) + varint(content)
    data = content.encode() if isinstance(content, str) else content
    if wire_type is None:
        return varint(number << 3 | 2) + varint(len(data)) + data
    return varint(number << 3 | wire_type) + data


def tensor(
    name: str = "x",
    datatype: str = "FP32",
    shape: Sequence[int] = (1, 2),
    extra: bytes = b"",
) -> bytes:
    """An InferInputTensor; its shape is packed, negative dimensions as protobuf has them."""
    dimensions = b"".join([_VARINTS.get(size) or varint(size % 2**64) for size in shape])
    return field(1, name) + field(2, datatype) + field(3, dimensions) + extra


def request(
    model: str = "scale",
    inputs: Sequence[bytes] | None = None,
    raw: Sequence[bytes] | None = (TWO_FLOATS,),
    extra: bytes = b"",
    version: str = "",
) -> bytes:
    """A ModelInferRequest, good unless told otherwise: twice [1, 2]."""
    parts = [field(NAME, model)]
    parts += [field(VERSION, version)] if version else []
    parts += [field(INPUTS, each) for each in ([tensor()] if inputs is None else inputs)]
    return b"".join([*parts, extra, *(field(RAW, each) for each in raw or ())])


def parameter(key: str, **value: Any) -> bytes:
    """The request's parameter as the field that it is."""
    message = pb.ModelInferRequest()
    for kind, content in value.items():
        setattr(message.parameters[key], kind, content)
    return bytes(message.SerializeToString())


MIXED_RAW = {
    "f": TWO_FLOATS,
    "n": b"\x01\xff",
    "u": struct.pack("<2Q", 1, 2**64 - 1),
    "h": b"\x00\x3c\x00\x40",
    "b": b"\x01\x00",
    "s": b"\x02\x00\x00\x00ab\x00\x00\x00\x00",
}
"""Good values of the model `mixed`, one row."""

MIXED_TYPES = {"f": "FP32", "n": "INT8", "u": "UINT64", "h": "FP16", "b": "BOOL", "s": "BYTES"}


def mixed(
    changed_raw: dict[str, bytes] | None = None, changed: dict[str, bytes] | None = None
) -> bytes:
    """A request to `mixed`, some of its raw contents or inputs changed."""
    raw = MIXED_RAW | (changed_raw or {})
    inputs = {name: tensor(name, kind) for name, kind in MIXED_TYPES.items()} | (changed or {})
    return request("mixed", list(inputs.values()), list(raw.values()))
