"""Requests that are messages and no requests: every wrong value has its status and its reason."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial

import grpc
import pytest

from tests.hostile.messages import (
    ID,
    INPUTS,
    MIXED_RAW,
    OUTPUTS,
    TWO_FLOATS,
    field,
    mixed,
    parameter,
    request,
    tensor,
)
from tests.hostile.target import MIB, Target

pytestmark = pytest.mark.e2e

Row = tuple[str, Callable[[], bytes], str]

NO_MODEL = "NOT_FOUND MODEL_NOT_FOUND"
WRONG = "INVALID_ARGUMENT"
LONG_MIB = "a" * MIB

NAMES: list[Row] = [
    (f"model {label}", partial(request, name), NO_MODEL)
    for label, name in {
        "empty": "",
        "space": " ",
        "nul": "sca\0le",
        "control": "\x01\x02\x7f",
        "newline": "scale\n",
        "slash": "scale/1",
        "dots": "..",
        "path": "../../../etc/passwd",
        "encoded": "%2e%2e%2f",
        "upper": "SCALE",
        "unicode": "模型",
        "look-alike": "s\u0441ale",
        "right-to-left": "\u202escale",
        "emoji": "🜲" * 300,
        "percent": "%s%n%d",
        "no model": "@stable",
        "8 KiB": "a" * 8192,
        "1 MiB": LONG_MIB,
        "1 MiB unicode": "模" * (MIB // 3),
    }.items()
] + [
    ("alias unknown", lambda: request("scale@nope"), "NOT_FOUND ALIAS_NOT_FOUND"),
    ("alias empty", lambda: request("scale@"), f"{WRONG} VERSION_INVALID"),
    ("alias twice", lambda: request("scale@@"), f"{WRONG} VERSION_INVALID"),
    ("alias and version", lambda: request("scale@a", version="1"), f"{WRONG} VERSION_AMBIGUOUS"),
    ("alias 1 MiB", lambda: request(f"scale@{LONG_MIB}"), "NOT_FOUND ALIAS_NOT_FOUND"),
]

VERSIONS: Sequence[Row] = [
    (f"version {text[:24]!r}", partial(request, version=text), expected)
    for text, expected in {
        "0": "NOT_FOUND VERSION_NOT_FOUND",
        "2": "NOT_FOUND VERSION_NOT_FOUND",
        str(2**31): "NOT_FOUND VERSION_NOT_FOUND",
        str(2**63): "NOT_FOUND VERSION_NOT_FOUND",
        "9" * 5000: "NOT_FOUND VERSION_NOT_FOUND",
        "01": f"{WRONG} VERSION_INVALID",
        "0" * 18 + "1": f"{WRONG} VERSION_INVALID",
        "-1": f"{WRONG} VERSION_INVALID",
        "+1": f"{WRONG} VERSION_INVALID",
        " 1": f"{WRONG} VERSION_INVALID",
        "1 ": f"{WRONG} VERSION_INVALID",
        "1.0": f"{WRONG} VERSION_INVALID",
        "1e0": f"{WRONG} VERSION_INVALID",
        "0x1": f"{WRONG} VERSION_INVALID",
        "1\0": f"{WRONG} VERSION_INVALID",
        "..": f"{WRONG} VERSION_INVALID",
        "/1": f"{WRONG} VERSION_INVALID",
        "\u0661": f"{WRONG} VERSION_INVALID",
        "\u00b2": f"{WRONG} VERSION_INVALID",
        "-" * MIB: f"{WRONG} VERSION_INVALID",
        "latest": "NOT_FOUND ALIAS_NOT_FOUND",
        LONG_MIB: "NOT_FOUND ALIAS_NOT_FOUND",
    }.items()
]


def _shaped(shape: Sequence[int], model: str = "scale") -> bytes:
    return request(model, [tensor(shape=shape)])


def _typed(datatype: str) -> bytes:
    return request(inputs=[tensor(datatype=datatype)])


SHAPES: Sequence[Row] = [
    (
        f"shape {label}",
        partial(_shaped, shape),
        f"{WRONG} {reason}",
    )
    for label, shape, reason in [
        ("none", [], "SHAPE_MISMATCH"),
        ("short", [2], "SHAPE_MISMATCH"),
        ("long", [1, 1, 2], "SHAPE_MISMATCH"),
        ("other", [1, 3], "SHAPE_MISMATCH"),
        ("transposed", [2, 1], "SHAPE_MISMATCH"),
        ("-1", [-1, 2], "SHAPE_NEGATIVE"),
        ("both -1", [-1, -1], "SHAPE_NEGATIVE"),
        ("-2^63", [-(2**63), 2], "SHAPE_NEGATIVE"),
        ("2^63-1", [2**63 - 1, 2], "SHAPE_TOO_LARGE"),
        ("2^64-1", [2**64 - 1, 2], "SHAPE_NEGATIVE"),
        ("zero columns", [1, 0], "SHAPE_MISMATCH"),
        ("rows without data", [2, 2], "RAW_SIZE_MISMATCH"),
        ("zero rows with data", [0, 2], "RAW_SIZE_MISMATCH"),
        ("65 rows without data", [65, 2], "RAW_SIZE_MISMATCH"),
        ("64 dimensions", [1] * 64, "SHAPE_MISMATCH"),
        ("65 dimensions", [1] * 65, "TOO_MANY_DIMENSIONS"),
        ("10,000 dimensions", [1] * 10_000, "TOO_MANY_DIMENSIONS"),
        ("a million dimensions", [1] * 1_000_000, "TOO_MANY_DIMENSIONS"),
    ]
] + [
    (
        f"wide {shape}",
        partial(_shaped, shape, "wide"),
        f"{WRONG} {reason}",
    )
    for shape, reason in [
        ([1, 2**32, 2**32], "SHAPE_TOO_LARGE"),
        ([1, 2**62, 4], "SHAPE_TOO_LARGE"),
        ([2, 2**61, 2**61], "SHAPE_TOO_LARGE"),
        ([1, 2**62, 0], "SHAPE_TOO_LARGE"),
        ([1, 0, 2**63 - 1], "SHAPE_TOO_LARGE"),
        ([1, 2**31, 2], "SHAPE_TOO_LARGE"),
        ([1, 2**30, 2], "RAW_SIZE_MISMATCH"),
        ([1, 0, 2], "RAW_SIZE_MISMATCH"),
        ([2**62, 4, 0], "SHAPE_TOO_LARGE"),
    ]
]

DATATYPES: Sequence[Row] = [
    (
        f"datatype {kind[:12]!r}",
        partial(_typed, kind),
        f"{WRONG} DATATYPE_MISMATCH",
    )
    for kind in ["", "fp32", "FP33", "TYPE_FP32", "INT32", "BYTES", "FP32\0", "浮点", LONG_MIB]
]

TYPED = field(5, field(6, TWO_FLOATS))
ONE_FLOAT = field(5, field(6, TWO_FLOATS[:4]))
TENSORS: list[Row] = [
    ("no inputs", lambda: request(inputs=[], raw=[]), f"{WRONG} INPUT_MISSING"),
    ("inputs and no raw", lambda: request(raw=[]), f"{WRONG} CONTENTS_MISSING"),
    ("raw and no inputs", lambda: request(inputs=[]), f"{WRONG} INPUT_MISSING"),
    ("input without fields", lambda: request(inputs=[b""]), f"{WRONG} INPUT_UNKNOWN"),
    ("input unknown", lambda: request(inputs=[tensor("z")]), f"{WRONG} INPUT_UNKNOWN"),
    ("input 1 MiB", lambda: request(inputs=[tensor(LONG_MIB)]), f"{WRONG} INPUT_UNKNOWN"),
    ("input NUL", lambda: request(inputs=[tensor("x\0")]), f"{WRONG} INPUT_UNKNOWN"),
    (
        "input twice",
        lambda: request(inputs=[tensor(), tensor()], raw=[TWO_FLOATS] * 2),
        f"{WRONG} INPUT_DUPLICATE",
    ),
    (
        "input beside",
        lambda: request(inputs=[tensor(), tensor("z")], raw=[TWO_FLOATS] * 2),
        f"{WRONG} INPUT_UNKNOWN",
    ),
    (
        "output unknown",
        lambda: request(extra=field(OUTPUTS, field(1, "z"))),
        f"{WRONG} OUTPUT_UNKNOWN",
    ),
    ("output empty", lambda: request(extra=field(OUTPUTS, b"")), f"{WRONG} OUTPUT_UNKNOWN"),
    (
        "output 1 MiB",
        lambda: request(extra=field(OUTPUTS, field(1, LONG_MIB))),
        f"{WRONG} OUTPUT_UNKNOWN",
    ),
    (
        "output twice",
        lambda: request(extra=field(OUTPUTS, field(1, "y")) * 2),
        f"{WRONG} OUTPUT_DUPLICATE",
    ),
    ("raw empty", lambda: request(raw=[b""]), f"{WRONG} RAW_SIZE_MISMATCH"),
    ("raw short", lambda: request(raw=[TWO_FLOATS[:-1]]), f"{WRONG} RAW_SIZE_MISMATCH"),
    ("raw long", lambda: request(raw=[TWO_FLOATS + b"\0"]), f"{WRONG} RAW_SIZE_MISMATCH"),
    ("raw of two rows", lambda: request(raw=[TWO_FLOATS * 2]), f"{WRONG} RAW_SIZE_MISMATCH"),
    ("raw twice", lambda: request(raw=[TWO_FLOATS] * 2), f"{WRONG} RAW_COUNT_MISMATCH"),
    ("raw 1,000 times", lambda: request(raw=[b""] * 1000), f"{WRONG} RAW_COUNT_MISMATCH"),
    (
        "raw missing for one of six",
        lambda: mixed()[: -len(MIXED_RAW["s"]) - 2],
        f"{WRONG} RAW_COUNT_MISMATCH",
    ),
    ("raw and typed", lambda: request(inputs=[tensor(extra=TYPED)]), f"{WRONG} CONTENTS_MIXED"),
    (
        "typed too few",
        lambda: request(inputs=[tensor(extra=ONE_FLOAT)], raw=[]),
        f"{WRONG} CONTENTS_COUNT_MISMATCH",
    ),
    (
        "typed too many",
        lambda: request(inputs=[tensor(extra=TYPED * 2)], raw=[]),
        f"{WRONG} CONTENTS_COUNT_MISMATCH",
    ),
    (
        "typed of another kind",
        lambda: request(inputs=[tensor(extra=field(5, field(2, b"\1\2")))], raw=[]),
        f"{WRONG} CONTENTS_MISSING",
    ),
    (
        "typed and empty",
        lambda: request(inputs=[tensor(extra=field(5, b""))], raw=[]),
        f"{WRONG} CONTENTS_MISSING",
    ),
    (
        "inputs of another model",
        lambda: mixed().replace(b"mixed", b"scale"),
        f"{WRONG} INPUT_UNKNOWN",
    ),
    (
        "batches differ",
        lambda: mixed({"n": b"\1\2\3\4"}, {"n": tensor("n", "INT8", [2, 2])}),
        "OK",  # nobody asked for batches: it runs alone
    ),
    (
        "FP16 typed",
        lambda: request("mixed", _typed_mixed(), raw=[]),
        f"{WRONG} CONTENTS_UNSUPPORTED",
    ),
]


def _typed_mixed() -> list[bytes]:
    numbers = field(5, field(6, TWO_FLOATS))
    return [
        tensor("f", extra=numbers),
        tensor("n", "INT8", extra=field(5, field(2, b"\1\2"))),
        tensor("u", "UINT64", extra=field(5, field(5, b"\1\2"))),
        tensor("h", "FP16", extra=numbers),
        tensor("b", "BOOL", extra=field(5, field(1, b"\1\0"))),
        tensor("s", "BYTES", extra=field(5, field(8, b"a") * 2)),
    ]


def _element(size: int, text: bytes) -> bytes:
    return struct.pack("<I", size) + text


TEXTS: list[Row] = [
    (f"BYTES {label}", partial(mixed, {"s": raw}), f"{WRONG} {reason}")
    for label, raw, reason in [
        ("none", b"", "BYTES_COUNT_MISMATCH"),
        ("one", _element(1, b"a"), "BYTES_COUNT_MISMATCH"),
        ("three", _element(1, b"a") * 3, "BYTES_COUNT_MISMATCH"),
        ("a million", _element(0, b"") * 1_000_000, "BYTES_COUNT_MISMATCH"),
        ("length cut", _element(1, b"a") + b"\1\0\0", "BYTES_TRUNCATED"),
        ("text cut", _element(1, b"a") + _element(5, b"abcd"), "BYTES_TRUNCATED"),
        ("length 4 GiB", _element(2**32 - 1, b"a"), "BYTES_TRUNCATED"),
        ("length 2 GiB", _element(1, b"a") + _element(2**31, b"a"), "BYTES_TRUNCATED"),
        ("big-endian length", b"\0\0\0\1a" * 2, "BYTES_TRUNCATED"),
        ("no UTF-8", _element(1, b"\xff") * 2, "BYTES_NOT_UTF8"),
        ("half a character", _element(1, "é".encode()[:1]) * 2, "BYTES_NOT_UTF8"),
        ("a surrogate", _element(3, b"\xed\xa0\x80") * 2, "BYTES_NOT_UTF8"),
        ("an overlong NUL", _element(2, b"\xc0\x80") * 2, "BYTES_NOT_UTF8"),
    ]
]

PARAMETERS: list[Row] = [
    (
        "priority text",
        lambda: request(extra=parameter("priority", string_param="1")),
        f"{WRONG} PARAMETER_INVALID",
    ),
    (
        "timeout text",
        lambda: request(extra=parameter("timeout", string_param="1")),
        f"{WRONG} PARAMETER_INVALID",
    ),
    (
        "timeout bool",
        lambda: request(extra=parameter("timeout", bool_param=True)),
        f"{WRONG} PARAMETER_INVALID",
    ),
    (
        "sequence_start text",
        lambda: request(extra=parameter("sequence_start", string_param="x")),
        f"{WRONG} PARAMETER_INVALID",
    ),
    (
        "sequence_id bool",
        lambda: request(extra=parameter("sequence_id", bool_param=True)),
        f"{WRONG} PARAMETER_INVALID",
    ),
    (
        "reserved",
        lambda: request(extra=parameter("triton_x", bool_param=True)),
        f"{WRONG} PARAMETER_RESERVED",
    ),
    (
        "reserved 1 MiB",
        lambda: request(extra=parameter("triton_" + LONG_MIB, bool_param=True)),
        f"{WRONG} PARAMETER_RESERVED",
    ),
]


def _index(number: int) -> bytes:
    return request("lookup", [tensor("i", "INT64", [1, 1])], [struct.pack("<q", number)])


VALUES: list[Row] = [
    (f"index {number}", partial(_index, number), f"{WRONG} INPUTS_REFUSED")
    for number in (3, -4, 2**31, 2**63 - 1, -(2**63))
]


def _divided(dividend: int, divisor: int) -> bytes:
    inputs = [tensor(name, "INT64", [1, 1]) for name in "ab"]
    return request("divide", inputs, [struct.pack("<q", dividend), struct.pack("<q", divisor)])


VALUES += [
    ("division by 0", partial(_divided, 1, 0), f"{WRONG} INPUTS_REFUSED"),
    ("the smallest integer by -1", partial(_divided, -(2**63), -1), "OK"),
]

GOOD: list[Row] = [
    ("no values", lambda: request(inputs=[tensor(shape=[0, 2])], raw=[b""]), "OK"),
    (
        "NaN and infinity",
        lambda: request(raw=[struct.pack("<2f", float("nan"), float("inf"))]),
        "OK",
    ),
    ("id 1 MiB", lambda: request(extra=field(ID, LONG_MIB)), "OK"),
    ("id of control characters", lambda: request(extra=field(ID, "\0\x01\x7f\n")), "OK"),
    ("texts with NUL", lambda: mixed({"s": _element(3, b"a\0b") * 2}), "OK"),
    ("BOOL of 255", lambda: mixed({"b": b"\xff\x02"}), "OK"),
    (
        "fields in any order",
        lambda: field(7, TWO_FLOATS) + field(INPUTS, tensor()) + field(1, "scale"),
        "OK",
    ),
]

ROWS = [*NAMES, *VERSIONS, *SHAPES, *DATATYPES, *TENSORS, *TEXTS, *PARAMETERS, *VALUES, *GOOD]


@pytest.mark.parametrize(
    ("build", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_request(target: Target, build: Callable[[], bytes], expected: str) -> None:
    """A request with one thing wrong gets the status and the reason of that thing."""
    assert expected == target.infer(build())


def test_a_deadline_that_is_over(target: Target) -> None:
    """A call whose time is up ends by its deadline, not by an error of the server's."""
    ended = target.channels["inference"].unary_unary("/inference.GRPCInferenceService/ModelInfer")
    with pytest.raises(grpc.RpcError) as raised:
        ended(
            request("wide", [tensor(shape=[1, 1, 10_000_000])], [bytes(40_000_000)]), timeout=0.001
        )
    assert "DEADLINE_EXCEEDED" == raised.value.code().name
