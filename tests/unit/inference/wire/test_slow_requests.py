"""Large requests, decoded in place and in pieces: they must read as small ones do."""

from __future__ import annotations

import random
from typing import Any

import pytest

from headrace import bytes_elements
from headrace.errors import InvalidArgument
from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.wire.codec.protobuf_fields import varint
from headrace_inference.wire.codec.request_parser import ParsedMessage, RequestParser
from headrace_inference.wire.codec.slow_requests import (
    LONG_COPY_BYTES,
    LONG_TEXT_BYTES,
    decoding_takes_long,
    is_slow_to_parse,
    parse_large,
)
from headrace_inference.wire.codec.tensors import contents_of
from headrace_inference.wire.codec.typed_contents import PIECE_ELEMENTS

COUNT = 3 * PIECE_ELEMENTS + 7

TYPED: dict[str, tuple[str, Any]] = {
    "BOOL": ("bool_contents", [True, False, True] * COUNT),
    "INT8": ("int_contents", [-128, 127, 3] * COUNT),
    "INT32": ("int_contents", [-(2**31), 2**31 - 1, 5] * COUNT),
    "INT64": ("int64_contents", [-(2**63), 2**63 - 1, 128] * COUNT),
    "UINT8": ("uint_contents", [255, 0, 1] * COUNT),
    "UINT32": ("uint_contents", [2**32 - 1, 0, 127] * COUNT),
    "UINT64": ("uint64_contents", [2**64 - 1, 0, 2**63] * COUNT),
    "FP32": ("fp32_contents", [1.5, -2.25, float("inf")] * COUNT),
    "FP64": ("fp64_contents", [1e300, -0.0, 3.0] * COUNT),
    "BYTES": ("bytes_contents", [b"", b"text", b"x" * 200] * COUNT),
}


def typed(datatype: str, count: int = COUNT) -> pb.ModelInferRequest:
    """A request with typed contents, between a short input and a parameter."""
    name, values = TYPED[datatype]
    request = pb.ModelInferRequest(model_name="m", id="7")
    short = request.inputs.add(name="short", datatype="INT32", shape=[1])
    short.contents.int_contents.append(3)
    tensor = request.inputs.add(name="x", datatype=datatype, shape=[count])
    getattr(tensor.contents, name).extend(values[:count])
    tensor.parameters["note"].string_param = "behind the contents"
    request.parameters["own"].int64_param = 5
    return request


def texts(*elements: bytes) -> pb.ModelInferRequest:
    """A request with raw BYTES."""
    request = pb.ModelInferRequest(model_name="m")
    request.inputs.add(name="x", datatype="BYTES", shape=[len(elements)])
    request.raw_input_contents.append(b"".join(len(e).to_bytes(4, "little") + e for e in elements))
    return request


def tensors(parsed: ParsedMessage) -> list[Any]:
    """What a request's inputs have."""
    contents: list[Any] = contents_of(parsed, RegionTable())
    return [(part.dtype, part.tolist()) for part in contents]


@pytest.mark.parametrize("datatype", TYPED)
def test_typed_contents_are_the_same_in_place(datatype: str) -> None:
    """Of every datatype, beside a short input that goes through protobuf."""
    payload = typed(datatype).SerializeToString()
    large, parsed = parse_large(payload), RequestParser().parse(payload)
    assert (parsed.id, parsed.header.inputs) == (large.id, large.header.inputs)
    assert parsed.header.parameters == large.header.parameters
    assert tensors(parsed) == tensors(large)


@pytest.mark.parametrize("datatype", TYPED)
def test_contents_in_several_parts_are_joined(datatype: str) -> None:
    """A field of a message may come again: contents, and packed values in them."""
    name, values = TYPED[datatype]
    one, two = pb.InferTensorContents(), pb.InferTensorContents()
    getattr(one, name).extend(values[:2000])
    getattr(two, name).extend(values[2000:4003])
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype=datatype, shape=[4003])
    body = tensor.SerializeToString()
    for part in (one.SerializeToString(), two.SerializeToString()):
        body += b"\x2a" + varint(len(part)) + part
    payload = b"\x0a\x01m\x2a" + varint(len(body)) + body
    assert tensors(RequestParser().parse(payload)) == tensors(parse_large(payload))


@pytest.mark.parametrize(
    ("datatype", "element"),
    [("INT64", b"\x18\x96\x01"), ("FP32", b"\x35\x00\x00\x80\x3f"), ("BOOL", b"\x08\x01")],
)
def test_values_that_are_not_packed_are_read_too(datatype: str, element: bytes) -> None:
    """Old clients send each with a tag of its own."""
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype=datatype, shape=[5000])
    contents = element * 5000
    body = tensor.SerializeToString() + b"\x2a" + varint(len(contents)) + contents
    payload = b"\x0a\x01m\x2a" + varint(len(body)) + body
    assert tensors(RequestParser().parse(payload)) == tensors(parse_large(payload))


@pytest.mark.parametrize(
    ("datatype", "count", "contents"),
    [
        ("BYTES", 3, b"\x42\x01a\xc2\x00\x01b\x42\x00"),
        ("BYTES", 2, b"\x42\x81\x00a\x42\x80\x01" + b"b" * 128),
        ("BYTES", 9000, b"\x42\x02ab\x42\x00" * 4500),
        ("INT64", 4, b"\x1a\x0d\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02\x85\x00\x07\x1a\x01\x01"),
        ("INT32", 2, b"\x12\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x05"),
        ("BOOL", 3, b"\x0a\x04\x00\x02\x80\x01"),
        ("UINT32", 2, b"\x22\x06\xff\xff\xff\xff\x7f\x01"),
        ("UINT64", 0, b"\x2a\x00"),
        ("INT64", 1, b"\x1a\x0b" + b"\x80" * 10 + b"\x00"),
        ("INT64", 1, b"\x1a\x02\x80\x80"),
    ],
)
def test_unusual_encodings_are_read_as_protobuf_reads_them(
    datatype: str, count: int, contents: bytes
) -> None:
    """Tags and sizes of more bytes than they need, values over their bits, varints without an end."""
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype=datatype, shape=[count])
    body = tensor.SerializeToString() + b"\x2a" + varint(len(contents)) + contents
    body += b"\x7a" + varint(2000) + bytes(2000)  # an unknown field makes the input long
    payload = bytearray(b"\x0a\x01m\x2a" + varint(len(body)) + body)
    assert _outcome(RequestParser().parse, payload) == _outcome(parse_large, payload)


def test_a_request_without_typed_contents_is_parsed_as_ever() -> None:
    """Its raw contents stay where they are."""
    request = texts(*[b"word"] * 9000)
    payload = request.SerializeToString()
    assert tensors(RequestParser().parse(payload)) == tensors(parse_large(payload))


@pytest.mark.parametrize("place", [0, 5000, 8999])
def test_what_is_wrong_with_a_text_is_said_with_its_place(place: int) -> None:
    """In whichever piece it is."""
    elements = [b"word"] * 9000
    elements[place] = b"\xff"
    with pytest.raises(InvalidArgument, match=f"element {place} .* is not valid UTF-8"):
        tensors(parse_large(texts(*elements).SerializeToString()))


def test_a_text_that_ends_too_early_is_found_in_a_later_piece() -> None:
    """The error names the byte, as for a short tensor."""
    request = texts(*[b"word"] * 9000)
    request.raw_input_contents[0] = request.raw_input_contents[0][:-1]
    with pytest.raises(InvalidArgument, match="ends inside the element at byte 71996"):
        tensors(parse_large(request.SerializeToString()))


@pytest.mark.parametrize("datatype", TYPED)
def test_damaged_requests_are_refused_or_read_as_protobuf_reads_them(datatype: str) -> None:
    """Bytes that are cut off or changed never pass for other values."""
    random.seed(11)
    payload = typed(datatype, 700).SerializeToString()
    for _ in range(150):
        damaged = bytearray(payload)
        place = random.randrange(len(damaged))
        if random.random() < 0.5:
            damaged[place] = random.randrange(256)
        else:
            del damaged[place:]
        assert _outcome(RequestParser().parse, damaged) == _outcome(parse_large, damaged)


def _outcome(parse: Any, payload: bytearray) -> object:
    """What a request's tensors are, or that it was refused."""
    try:
        return repr(tensors(parse(bytes(payload))))
    except (InvalidArgument, ValueError):  # ValueError: a datatype that the checks refuse before
        return "refused"


@pytest.mark.parametrize(
    ("request_", "parsing", "decoding"),
    [
        (typed("FP32", 100), False, False),
        (typed("FP32", LONG_TEXT_BYTES), True, False),
        (texts(b"a" * 100), False, False),
        (texts(b"a" * LONG_TEXT_BYTES), False, False),
        (texts(*[b"word"] * 1000), False, False),
        (texts(*[b"word"] * 4000), False, True),
        (texts(*["wörter".encode()] * 700), False, False),
        (texts(*["wörter".encode()] * 1200), False, True),
        (texts(*[b"a\0b"] * 110), False, False),
        (texts(*[b"a\0b"] * 300), False, True),
        (texts(*[b"a" * 1000] * 200), False, True),
    ],
)
def test_only_what_is_large_takes_long(
    monkeypatch: pytest.MonkeyPatch, request_: pb.ModelInferRequest, parsing: bool, decoding: bool
) -> None:
    """Typed contents take long to parse, and texts to decode: those sooner that are not like most."""
    monkeypatch.setattr(bytes_elements, "compiled", None)
    payload = request_.SerializeToString()
    assert parsing == is_slow_to_parse(payload)
    assert decoding == decoding_takes_long(RequestParser().parse(payload))


@pytest.mark.parametrize(
    ("request_", "decoding"),
    [
        (texts(*[b"word"] * 1500), False),
        (texts(*[b"a\0b"] * 1500), False),
        (texts(*["wörter".encode()] * 700), False),
        (texts(*["wörter".encode()] * 1000), True),
        (texts(*[b"word"] * 2000), True),
    ],
)
def test_texts_take_less_long_where_they_are_read_by_compiled_code(
    monkeypatch: pytest.MonkeyPatch,
    compiled_elements: Any,
    request_: pb.ModelInferRequest,
    decoding: bool,
) -> None:
    """Most of all those with NULs in them."""
    monkeypatch.setattr(bytes_elements, "compiled", compiled_elements)
    assert decoding == decoding_takes_long(RequestParser().parse(request_.SerializeToString()))


def test_raw_tensors_take_no_time_and_shared_memory_does() -> None:
    """What lies in the message is not copied; a window is."""
    request = pb.ModelInferRequest(model_name="m")
    request.inputs.add(name="x", datatype="UINT8", shape=[LONG_COPY_BYTES])
    request.raw_input_contents.append(bytes(LONG_COPY_BYTES))
    payload = request.SerializeToString()
    assert not is_slow_to_parse(payload)
    assert not decoding_takes_long(RequestParser().parse(payload))

    del request.raw_input_contents[:]
    request.inputs[0].parameters["shared_memory_region"].string_param = "r"
    request.inputs[0].parameters["shared_memory_byte_size"].int64_param = LONG_COPY_BYTES + 1
    assert decoding_takes_long(RequestParser().parse(request.SerializeToString()))


def test_many_fields_take_long_before_they_are_counted() -> None:
    """What a hostile request costs, it costs another thread."""
    payload = b"\x3a\x00" * (LONG_TEXT_BYTES + 1)
    assert is_slow_to_parse(payload)
    with pytest.raises(InvalidArgument, match="inputs, outputs, parameters"):
        parse_large(payload)
