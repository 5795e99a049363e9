"""Bytes that are hardly messages: garbage, mutations, groups, depth, fields by the million, bombs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import grpc
import pytest

from tests.hostile.messages import (
    ID,
    INPUTS,
    NAME,
    OUTPUTS,
    PARAMETERS,
    RAW,
    field,
    request,
    tensor,
    varint,
)
from tests.hostile.target import MAX_MESSAGE_BYTES, MIB, Target

pytestmark = pytest.mark.e2e

Row = tuple[str, Callable[[], bytes], str]

MALFORMED = "INVALID_ARGUMENT MALFORMED_REQUEST"
TOO_MANY = "INVALID_ARGUMENT TOO_MANY_FIELDS"
GOOD = request()
GROUP, END_GROUP, FIXED64, FIXED32 = 3, 4, 1, 5
UNKNOWN = 99


def _cut(size: int) -> bytes:
    return GOOD[:size]


GARBAGE: list[Row] = [
    ("nothing", lambda: b"", "NOT_FOUND MODEL_NOT_FOUND"),
    ("one zero", lambda: b"\0", MALFORMED),
    ("zeros", lambda: bytes(4096), MALFORMED),
    ("ones", lambda: b"\xff" * 4096, MALFORMED),
    ("text", lambda: b"GET / HTTP/1.1\r\n\r\n", MALFORMED),
    ("JSON", lambda: b'{"inputs": []}', MALFORMED),
    ("a tag and no value", lambda: b"\x0a", MALFORMED),
    ("a length and no bytes", lambda: b"\x0a\x05", MALFORMED),
    ("a length of 4 GiB", lambda: b"\x0a" + varint(2**32 - 1) + b"a", MALFORMED),
    ("a length of 2^63", lambda: b"\x0a" + varint(2**63) + b"a", MALFORMED),
    ("a length of 2^64-1", lambda: b"\x3a" + varint(2**64 - 1) + b"a", MALFORMED),
    ("a varint of 11 bytes", lambda: b"\x80" * 11 + b"\x01", MALFORMED),
    ("an endless varint", lambda: b"\x80" * 100_000, MALFORMED),
    ("field 0", lambda: GOOD + field(0, b"x"), MALFORMED),
    ("field 2^29", lambda: GOOD + varint(2**32 << 3 | 2) + b"\0", MALFORMED),
    ("wire type 6", lambda: GOOD + varint(UNKNOWN << 3 | 6) + b"\0", MALFORMED),
    ("wire type 7", lambda: GOOD + varint(UNKNOWN << 3 | 7) + b"\0", MALFORMED),
    (
        "a group that ends",
        lambda: GOOD + field(UNKNOWN, b"", GROUP) + field(UNKNOWN, b"", END_GROUP),
        MALFORMED,
    ),
    ("a group that does not end", lambda: GOOD + field(UNKNOWN, b"", GROUP), MALFORMED),
    ("the end of no group", lambda: GOOD + field(UNKNOWN, b"", END_GROUP), MALFORMED),
    ("groups 100,000 deep", lambda: varint(UNKNOWN << 3 | GROUP) * 100_000, MALFORMED),
    (
        "groups in a tensor",
        lambda: request(inputs=[tensor(extra=varint(UNKNOWN << 3 | GROUP) * 1_000_000)]),
        MALFORMED,
    ),
    ("fixed64 cut", lambda: GOOD + field(UNKNOWN, b"1234", FIXED64), MALFORMED),
    ("fixed32 cut", lambda: GOOD + field(UNKNOWN, b"12", FIXED32), MALFORMED),
    ("name is no UTF-8", lambda: field(NAME, b"\xff\xfe"), MALFORMED),
    ("id is no UTF-8", lambda: request(extra=field(ID, b"\xff\xfe")), MALFORMED),
    ("input's name is no UTF-8", lambda: request(inputs=[field(1, b"\xff")]), MALFORMED),
    (
        "output's name is no UTF-8",
        lambda: request(extra=field(OUTPUTS, field(1, b"\xff"))),
        MALFORMED,
    ),
    (
        "parameter's key is no UTF-8",
        lambda: request(extra=field(PARAMETERS, field(1, b"\xff"))),
        MALFORMED,
    ),
    ("an input that is cut", lambda: request(inputs=[tensor()[:-1]]), MALFORMED),
    ("an input that is garbage", lambda: request(inputs=[b"\xff" * 9]), MALFORMED),
    ("a shape that is cut", lambda: request(inputs=[field(1, "x") + field(3, b"\x80")]), MALFORMED),
    (
        "typed floats of 7 bytes",
        lambda: request(inputs=[tensor(extra=field(5, field(6, bytes(7))))], raw=[]),
        MALFORMED,
    ),
    ("wrong wire type for the name", lambda: field(NAME, 5), "NOT_FOUND MODEL_NOT_FOUND"),
    (
        "wrong wire type for inputs",
        lambda: request(inputs=[], extra=field(INPUTS, 5)),
        "INVALID_ARGUMENT INPUT_MISSING",
    ),
    (
        "wrong wire type for raw",
        lambda: request(raw=[], extra=field(RAW, 5)),
        "INVALID_ARGUMENT CONTENTS_MISSING",
    ),
    (
        "wrong wire type for the shape",
        lambda: request(inputs=[field(1, "x") + field(2, "FP32") + field(3, bytes(8), FIXED64)]),
        "INVALID_ARGUMENT SHAPE_MISMATCH",
    ),
    ("a message in the name", lambda: field(NAME, GOOD), MALFORMED),
    ("the message twice", lambda: GOOD * 2, "INVALID_ARGUMENT INPUT_DUPLICATE"),
    (
        "the name twice, the last counts",
        lambda: GOOD + field(NAME, "other"),
        "NOT_FOUND MODEL_NOT_FOUND",
    ),
    ("the name twice, the last is right", lambda: field(NAME, "other") + GOOD, "OK"),
    ("the id twice", lambda: request(extra=field(ID, "a") + field(ID, "b")), "OK"),
    ("unknown fields", lambda: request(extra=field(UNKNOWN, b"x") + field(UNKNOWN, 2**63)), "OK"),
    ("the largest field number", lambda: request(extra=field(2**29 - 1, b"x")), "OK"),
    ("an overlong tag", lambda: request(extra=b"\x9a\x80\x00\x01i"), "OK"),
    (
        "an unpacked shape",
        lambda: request(inputs=[field(1, "x") + field(2, "FP32") + field(3, 1) + field(3, 2)]),
        "OK",
    ),
] + [
    (f"cut to {size} bytes", partial(_cut, size), expected)
    for size, expected in [
        (1, MALFORMED),
        (6, MALFORMED),
        (7, "INVALID_ARGUMENT INPUT_MISSING"),
        (8, MALFORMED),
        (len(GOOD) - 9, MALFORMED),
        (len(GOOD) - 1, MALFORMED),
    ]
]

MANY: list[Row] = [
    ("raw contents", lambda: request(extra=field(RAW, b"") * 2_000_000), TOO_MANY),
    ("inputs", lambda: request(extra=field(INPUTS, b"") * 2_000_000), TOO_MANY),
    ("outputs", lambda: request(extra=field(OUTPUTS, b"") * 2_000_000), TOO_MANY),
    ("parameters", lambda: request(extra=field(PARAMETERS, b"") * 2_000_000), TOO_MANY),
    ("ids", lambda: request(extra=field(ID, b"") * 2_000_000), TOO_MANY),
    ("unknown fields", lambda: request(extra=field(UNKNOWN, 1) * 1_000_000), TOO_MANY),
    (
        "parameters of an input",
        lambda: request(inputs=[tensor(extra=field(4, field(1, "k")) * 200_000)]),
        "OK",
    ),
    (
        "typed texts",
        lambda: request(
            "mixed", [tensor("s", "BYTES", extra=field(5, field(8, b"") * 2_000_000))], []
        ),
        "INVALID_ARGUMENT INPUT_MISSING",
    ),
    (
        "typed floats",
        lambda: request(inputs=[tensor(extra=field(5, field(6, bytes(20_000_000))))], raw=[]),
        "INVALID_ARGUMENT CONTENTS_COUNT_MISMATCH",
    ),
]


def _ids(rows: list[Row]) -> list[str]:
    return [row[0] for row in rows]


@pytest.mark.parametrize(("build", "expected"), [row[1:] for row in GARBAGE], ids=_ids(GARBAGE))
def test_bytes(target: Target, build: Callable[[], bytes], expected: str) -> None:
    """Bytes that no generated code would write are the caller's mistake, or are read as protobuf says."""
    assert expected == target.infer(build())


@pytest.mark.parametrize(("build", "expected"), [row[1:] for row in MANY], ids=_ids(MANY))
def test_by_the_million(target: Target, build: Callable[[], bytes], expected: str) -> None:
    """Millions of fields are refused, or read, without holding up the others."""
    assert expected == target.infer(build())


WRONG_SIZE = "INVALID_ARGUMENT RAW_SIZE_MISMATCH"


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_huge_message(target: Target, compression: grpc.Compression) -> None:
    """200 MB, or 200 kB that become 200 MB, are answered; what they took comes back."""
    assert WRONG_SIZE == target.infer(request(raw=[bytes(200 * MIB)]), compression=compression)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_message_over_the_limit(target: Target, compression: grpc.Compression) -> None:
    """A message over max_message_bytes is refused, also where it only unpacks to more."""
    refused = target.infer(request(raw=[bytes(MAX_MESSAGE_BYTES)]), compression=compression)
    reason = {"native": " MESSAGE_TOO_LARGE", "grpcio": ""}[target.front]
    assert f"RESOURCE_EXHAUSTED{reason}" == refused


def test_huge_messages_again_and_again(target: Target) -> None:
    """Refused messages do not pile up."""
    huge = request(raw=[bytes(100 * MIB)])
    for _ in range(5):
        assert WRONG_SIZE == target.infer(huge)


@pytest.mark.parametrize(
    ("compression", "native", "grpcio"),
    [
        (grpc.Compression.Gzip, "OK", "OK"),
        (grpc.Compression.Deflate, "UNIMPLEMENTED", "OK"),
    ],
)
def test_compressed(
    target: Target, compression: grpc.Compression, native: str, grpcio: str
) -> None:
    """gzip is served by both fronts; deflate is a known limit of the native one."""
    expected = {"native": native, "grpcio": grpcio}[target.front]
    assert expected == target.infer(request(), compression=compression)
