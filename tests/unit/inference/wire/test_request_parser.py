"""Requests from bytes and answers to bytes, held against the generated code."""

from __future__ import annotations

import random

import numpy as np
import pytest

from headrace.errors import HeadraceError
from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.scheduling.requests import Array, BatchResult, InferenceRequest
from headrace_inference.wire.codec.protobuf_fields import varint
from headrace_inference.wire.codec.request_parser import ParsedMessage, RequestParser
from headrace_inference.wire.codec.request_templates import MAX_NAMES
from headrace_inference.wire.codec.responses import encode_answers
from headrace_inference.wire.codec.tensors import contents_of
from tests.unit.inference.doubles import RecordingSink, served, version


def message(
    request_id: str = "", rows: int = 1, value: float = 1.0, size: int | None = None
) -> pb.ModelInferRequest:
    """A raw request of the doubling model."""
    request = pb.ModelInferRequest(model_name="m", id=request_id)
    request.inputs.add(name="x", datatype="FP32", shape=[rows, 2])
    raw = np.full((rows, 2), value, np.float32).tobytes()
    request.raw_input_contents.append(raw if size is None else raw[:size])
    return request


def raw_of(parsed: ParsedMessage) -> list[bytes]:
    """The raw contents."""
    return [parsed.payload[start:end] for start, end in parsed.raw]


def test_a_repeated_request_is_read_without_parsing() -> None:
    """Requests that differ in id and values share one head, and each has its own id and values."""
    parser = RequestParser()
    first = parser.parse(message("aaa", value=1.0).SerializeToString())
    second = parser.parse(message("bbb", value=2.0).SerializeToString())

    assert first.header is second.header
    assert (first.id, second.id) == (b"aaa", b"bbb")
    assert [np.full(2, 2.0, np.float32).tobytes()] == raw_of(second)


def test_every_parse_agrees_with_the_generated_code() -> None:
    """Random requests of few lengths, so that templates collide, read as the generated code reads them."""
    random.seed(7)
    parser = RequestParser()
    for _ in range(3000):
        request = _random_request()
        payload = request.SerializeToString()
        parsed = parser.parse(payload)
        head = parsed.header

        assert (request.model_name, request.model_version) == (head.model_name, head.model_version)
        assert parsed.id.decode() == request.id
        expected = [
            (tensor.name, tensor.datatype, tuple(tensor.shape)) for tensor in request.inputs
        ]
        assert expected == [(item.name, item.datatype, item.shape) for item in head.inputs]
        assert list(request.raw_input_contents) == raw_of(parsed)
        assert [output.name for output in request.outputs] == list(head.outputs)


def _random_request() -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=random.choice("mn"))
    if random.random() < 0.5:
        request.model_version = random.choice("12")
    if random.random() < 0.5:
        request.id = random.choice(["a", "bb", "é"])
    for index in range(random.randint(0, 2)):
        request.inputs.add(name=random.choice("xy"), datatype="FP32", shape=[1, index])
        request.raw_input_contents.append(random.randbytes(random.randint(0, 4)))
    if random.random() < 0.3:
        request.outputs.add(name=random.choice("yz"))
    return request


def test_fields_in_another_order_are_read_alike() -> None:
    """Raw contents, id and name may come in any order on the wire."""
    payload = message("id").SerializeToString()
    other = pb.ModelInferRequest.FromString(payload)
    other.ClearField("raw_input_contents")
    raw = message().raw_input_contents[0]
    reordered = b"\x3a" + varint(len(raw)) + raw + other.SerializeToString()

    parsed = RequestParser().parse(reordered)

    assert (parsed.id, raw_of(parsed), parsed.header.model_name) == (b"id", [raw], "m")


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        b"\x0a",
        b"\x0a\x05ab",
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0b",
        b"\x80" * 20,
        b"\x1a\x01\xff",
        b"\x0a\x02\xff\xfe",
        b"\x07\x00",
    ],
)
def test_bytes_that_are_no_request_are_refused(payload: bytes) -> None:
    """Garbage is the caller's error, whatever it is."""
    with pytest.raises(HeadraceError) as caught:
        RequestParser().parse(payload)

    assert caught.value.reason == "MALFORMED_REQUEST"


def test_no_garbage_crashes_the_parser() -> None:
    """Any bytes parse or are refused; nothing else is raised."""
    random.seed(3)
    parser = RequestParser()
    base = message("id").SerializeToString()
    for _ in range(5000):
        payload = bytearray(base)
        for _ in range(random.randint(1, 4)):
            payload[random.randrange(len(payload))] = random.randrange(256)
        try:
            contents_of(parser.parse(bytes(payload)), RegionTable())
        except HeadraceError:
            continue


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.parameters["triton_x"].__setattr__("bool_param", True), "PARAMETER_RESERVED"),
        (lambda r: r.parameters["priority"].__setattr__("string_param", "1"), "PARAMETER_INVALID"),
        (
            lambda r: (
                r.outputs.add(name="y").parameters["classification"].__setattr__("int64_param", 0)
            ),
            "PARAMETER_INVALID",
        ),
        (lambda r: r.raw_input_contents.append(b""), "RAW_COUNT_MISMATCH"),
        (lambda r: r.inputs[0].contents.fp32_contents.append(1.0), "CONTENTS_MIXED"),
        (lambda r: r.ClearField("raw_input_contents"), "CONTENTS_MISSING"),
    ],
)
def test_what_a_request_must_not_say(change: object, reason: str) -> None:
    """Reserved parameters and contents that do not add up are refused with their reasons."""
    request = message()
    change(request)  # type: ignore[operator]  # rows are functions

    with pytest.raises(HeadraceError) as caught:
        contents_of(RequestParser().parse(request.SerializeToString()), RegionTable())

    assert reason == caught.value.reason


def test_perf_analyzer_s_parameter_is_taken() -> None:
    """`triton_enable_empty_final_response` comes with every request of perf_analyzer."""
    request = message()
    request.parameters["triton_enable_empty_final_response"].bool_param = True

    parsed = RequestParser().parse(request.SerializeToString())

    assert parsed.header.parameters == {"triton_enable_empty_final_response": True}


def test_answers_are_what_the_generated_code_reads() -> None:
    """The answers of a batch carry each request's rows, id, version and route."""
    loaded = served(version())
    parser = RequestParser()
    sink = RecordingSink()
    pendings, ids = [], []
    for rows, request_id in ((1, ""), (3, "three"), (2, "zwei")):
        parsed = parser.parse(message(request_id, rows, float(rows)).SerializeToString())
        plan = loaded.plan_request(parsed.header.inputs, ["n", "y"] if rows == 2 else [])
        pending = InferenceRequest(
            plan,
            contents_of(parsed, RegionTable()),
            "stable",
            0,
            None,
            loaded.statistics,
            sink,
            None,
        )
        pendings.append(pending)
        ids.append(parsed.id)
    outputs: list[Array] = [
        np.arange(12, dtype=np.float32).reshape(6, 2),
        np.arange(6, dtype=np.int64),
    ]
    result = BatchResult(pendings, outputs, [0, 1, 4, 6])

    answers = [
        pb.ModelInferResponse.FromString(payload)
        for payload in encode_answers(loaded, result, range(3), ids)
    ]
    loaded.close()

    assert [answer.id for answer in answers] == ["", "three", "zwei"]
    assert {(a.model_name, a.model_version) for a in answers} == {("m", "1")}
    assert {a.parameters["headrace.route"].string_param for a in answers} == {"stable"}
    assert [[o.name for o in a.outputs] for a in answers] == [["y", "n"], ["y", "n"], ["n", "y"]]
    assert [list(o.shape) for o in answers[1].outputs] == [[3, 2], [3]]
    assert list(answers[1].raw_output_contents) == [
        outputs[0][1:4].tobytes(),
        outputs[1][1:4].tobytes(),
    ]
    assert list(answers[2].raw_output_contents) == [
        outputs[1][4:].tobytes(),
        outputs[0][4:].tobytes(),
    ]


def test_requests_of_many_models_are_known_by_their_names() -> None:
    """However many models get requests of one length, each is read without parsing the second time."""
    parser = RequestParser()
    payloads = []
    for number in range(100, 600):
        request = message("id")
        request.model_name = f"m{number}"
        payloads.append(request.SerializeToString())
    first = [parser.parse(payload) for payload in payloads]

    assert [parsed.template for parsed in first] == [parser.match(payload) for payload in payloads]
    assert [f"m{number}" for number in range(100, 600)] == [
        parser.parse(payload).header.model_name for payload in payloads
    ]


def test_endless_names_do_not_grow_the_parser() -> None:
    """What was long not asked for is forgotten, and read as well as ever."""
    parser = RequestParser()
    for number in range(100_000, 110_000):
        request = message()
        request.model_name = f"m{number}"
        parser.parse(request.SerializeToString())

    kept = parser._templates._by_name
    assert MAX_NAMES >= len(kept) > 0
    assert "m109999" == parser.parse(request.SerializeToString()).header.model_name
