"""The REST form of a request: what is taken apart how, and what is refused with which reason."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace.errors import HeadraceError, InvalidArgument
from headrace.state.records import Batching, ServingConfig, Signature, TensorSpec, VersionRecord
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.scheduling.requests import TensorHeader
from headrace_inference.wire.codec.tensors import ZERO_COPY_BYTES
from headrace_inference.wire.rest.body import inflate
from headrace_inference.wire.rest.raw_binary import raw_request
from headrace_inference.wire.rest.requests import (
    RestRequest,
    header_length,
    parse_request,
)

LIMIT = 1000


def binary_input(name: str, size: int, datatype: str = "UINT8") -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    return {"name": name, "datatype": datatype, "shape": [1], "parameters": parameters}


def json_input(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": "INT64", "shape": [1], "data": [7]} | changes


def parse(head: object, tail: bytes | None = None) -> RestRequest:
    text = json.dumps(head).encode()
    return parse_request(text + (tail or b""), None if tail is None else len(text))


def refusal(head: object, tail: bytes | None = None) -> HeadraceError:
    with pytest.raises(HeadraceError) as caught:
        parse(head, tail)
    return caught.value


def test_a_whole_request() -> None:
    """Names, headers, outputs and id are taken over; binary data is asked for by output or for all."""
    request = parse(
        {
            "id": "42",
            "inputs": [json_input()],
            "outputs": [{"name": "a", "parameters": {"binary_data": False}}, {"name": "b"}],
            "parameters": {"binary_data_output": True, "custom": 1.5, "priority": 3},
        }
    )
    assert ("42", ("a", "b")) == (request.id, request.outputs)
    assert (TensorHeader("x", "INT64", (1,)),) == request.headers
    assert [False, True] == [request.wants_binary("a"), request.wants_binary("b")]
    assert [7] == np.asarray(request.contents(RegionTable())[0]).tolist()


def test_members_that_are_null() -> None:
    """What is optional may be null, as clients send it."""
    request = parse(
        {"id": None, "inputs": [json_input(parameters=None)], "outputs": None, "parameters": None}
    )
    assert ("", ()) == (request.id, request.outputs)


def test_binary_tail() -> None:
    """Binary inputs are taken from the tail in the order of the inputs, JSON ones not counted."""
    inputs = [binary_input("a", 2), json_input(), binary_input("b", 3)]
    contents = parse({"inputs": inputs}, b"\x01\x02\x03\x04\x05").contents(RegionTable())
    assert (b"\x01\x02", b"\x03\x04\x05") == (contents[0], contents[2])


def test_large_tensors_are_not_copied() -> None:
    """A large binary tensor is read where it lies in the body."""
    tail = bytes(ZERO_COPY_BYTES)
    assert isinstance(
        parse({"inputs": [binary_input("a", len(tail))]}, tail).contents(RegionTable())[0],
        memoryview,
    )


@pytest.mark.parametrize(
    ("head", "tail", "reason"),
    [
        ([], None, "MALFORMED_REQUEST"),
        ({}, None, "MALFORMED_REQUEST"),
        ({"inputs": {}}, None, "MALFORMED_REQUEST"),
        ({"inputs": [json_input()], "id": 5}, None, "MALFORMED_REQUEST"),
        ({"inputs": [json_input(shape=[1.5])]}, None, "MALFORMED_REQUEST"),
        ({"inputs": [json_input(shape=[2**63])]}, None, "MALFORMED_REQUEST"),
        ({"inputs": [json_input(shape=[1] * 65)]}, None, "MALFORMED_REQUEST"),
        ({"inputs": [json_input()], "parameters": {"a": {}}}, None, "MALFORMED_REQUEST"),
        ({"inputs": [json_input()], "parameters": {"priority": -1}}, None, "PARAMETER_INVALID"),
        ({"inputs": [json_input()], "parameters": {"sequence_end": 1}}, None, "PARAMETER_INVALID"),
        ({"inputs": [json_input()], "parameters": {"triton_x": 1}}, None, "PARAMETER_RESERVED"),
        ({"inputs": [json_input(data=None)]}, None, "CONTENTS_MISSING"),
        ({"inputs": [binary_input("a", 2) | {"data": [1, 2]}]}, b"ab", "CONTENTS_MIXED"),
        ({"inputs": [binary_input("a", 2)]}, None, "HEADER_LENGTH_MISSING"),
        ({"inputs": [binary_input("a", 2)]}, b"a", "BINARY_SIZE_MISMATCH"),
        ({"inputs": [binary_input("a", 2)]}, b"abc", "BINARY_SIZE_MISMATCH"),
        ({"inputs": [json_input()]}, b"abc", "BINARY_SIZE_MISMATCH"),
        ({"inputs": [binary_input("a", -2)]}, b"", "PARAMETER_INVALID"),
        ({"inputs": [binary_input("a", 2**63)]}, b"", "PARAMETER_INVALID"),
    ],
)
def test_refusals(head: object, tail: bytes | None, reason: str) -> None:
    """What is not the protocol's form is the caller's error, with a reason of its own."""
    error = refusal(head, tail)
    assert (InvalidArgument, reason) == (type(error), error.reason)


@pytest.mark.parametrize(
    "parameters",
    [
        {"classification": "1"},
        {"classification": 0},
        {"shared_memory_region": "r"},
        {"shared_memory_byte_size": 4},
        {"shared_memory_offset": 4},
        {"shared_memory_region": "r", "shared_memory_byte_size": -1},
        {"shared_memory_region": 1, "shared_memory_byte_size": 1},
    ],
)
def test_wishes_that_cannot_be(parameters: dict[str, object]) -> None:
    """Parameters of an output have their types and belong together."""
    asked = {"inputs": [json_input()], "outputs": [{"name": "y", "parameters": parameters}]}
    error = refusal(asked)
    assert (InvalidArgument, "PARAMETER_INVALID") == (type(error), error.reason)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b'{"id": "\xff"}', b"[" * 200_000, b'{"a":' * 200_000, b"{} {}"],
)
def test_what_is_no_json(body: bytes) -> None:
    """Bytes that are no JSON, or nested without end, are the caller's error."""
    with pytest.raises(InvalidArgument) as caught:
        parse_request(body, None)
    assert caught.value.reason in ("MALFORMED_JSON", "MALFORMED_REQUEST")


@pytest.mark.parametrize(("text", "expected"), [(None, None), ("0", 0), ("10", 10)])
def test_header_length(text: str | None, expected: int | None) -> None:
    """The header counts bytes of the body."""
    assert expected == header_length(text, 10)


@pytest.mark.parametrize(
    "text", ["", "-1", "11", "1.5", "ten", "+1", "٣", "9" * 5000, " 1", "0" * 20]
)
def test_wrong_header_length(text: str) -> None:
    """A header that is no number of bytes of the body is refused."""
    with pytest.raises(InvalidArgument) as caught:
        header_length(text, 10)
    assert "HEADER_LENGTH_INVALID" == caught.value.reason


def record(*inputs: TensorSpec, max_batch_size: int = 0) -> VersionRecord:
    config = ServingConfig(batching=Batching(max_batch_size))
    return VersionRecord("m", 1, "", (), "model.onnx", Signature(inputs, ()), config, 0.0)


@pytest.mark.parametrize(
    ("shape", "max_batch_size", "expected"),
    [((2, 3), 0, (2, 3)), ((-1, 3), 0, (2, 3)), ((-1, 6), 8, (1, 6)), ((-1, 2, -1), 8, (1, 2, 3))],
)
def test_raw_request(
    shape: tuple[int, ...], max_batch_size: int, expected: tuple[int, ...]
) -> None:
    """A body without JSON is the one input: one row, its free dimension filled."""
    spec = TensorSpec("x", Datatype.FP32, shape)
    request = raw_request(record(spec, max_batch_size=max_batch_size), bytes(24))
    assert (TensorHeader("x", "FP32", expected),) == request.headers
    assert [bytes(24)] == request.contents(RegionTable())
    assert request.wants_binary("anything")


def test_raw_request_of_bytes() -> None:
    """A raw body for a BYTES input is its one element."""
    request = raw_request(record(TensorSpec("x", Datatype.BYTES, (-1,))), b"text")
    assert ["text"] == np.asarray(request.contents(RegionTable())[0]).tolist()


@pytest.mark.parametrize("shapes", [[], [(1,), (1,)], [(-1, -1)], [(-1, 4)], [(-1, 0)]], ids=str)
def test_raw_request_that_cannot_be(shapes: list[tuple[int, ...]]) -> None:
    """A raw body for no input or several, or with a length that no shape has, is refused."""
    specs = [TensorSpec(f"x{index}", Datatype.FP32, shape) for index, shape in enumerate(shapes)]
    with pytest.raises(InvalidArgument) as caught:
        raw_request(record(*specs), bytes(24))
    assert "RAW_REQUEST_INVALID" == caught.value.reason


PACK: dict[str, Any] = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("encoding", PACK)
def test_inflate(encoding: str) -> None:
    """Packed bytes come back, up to the limit and not one over it."""
    assert bytes(LIMIT) == inflate(PACK[encoding](bytes(LIMIT)), encoding, LIMIT)
    with pytest.raises(InvalidArgument, match="max_http_body_bytes") as caught:
        inflate(PACK[encoding](bytes(LIMIT + 1)), encoding, LIMIT)
    assert "BODY_TOO_LARGE" == caught.value.reason


@pytest.mark.parametrize("encoding", PACK)
@pytest.mark.parametrize(
    "spoil", [lambda packed: packed[:-1], lambda packed: packed + b"x", lambda _: b"abc"]
)
def test_inflate_what_is_broken(encoding: str, spoil: Any) -> None:
    """Packed bytes that end early, go on, or are none are refused."""
    with pytest.raises(InvalidArgument) as caught:
        inflate(spoil(PACK[encoding](b"hello")), encoding, LIMIT)
    assert "MALFORMED_ENCODING" == caught.value.reason
