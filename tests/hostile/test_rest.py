"""The REST port: bodies, JSON, binary tails and packed bodies that are wrong or mean harm."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.hostile.http import HEADER_LENGTH, INFER_PATH, ask, document, encoded, post
from tests.hostile.target import MIB, Target

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("running_target", ["native"], indirect=True),
]

Row = tuple[str, Callable[[], bytes], str]

JSON, REQUEST, DATA = "400 MALFORMED_JSON", "400 MALFORMED_REQUEST", "400 DATA_INVALID"
GOOD = encoded(document())


def _tensor(label: str, expected: str, **changes: Any) -> Row:
    return label, lambda: post(encoded(document(**changes))), expected


def _body(label: str, expected: str, body: bytes) -> Row:
    return label, lambda: post(body), expected


def _data(label: str, expected: str, text: str) -> Row:
    return _body(label, expected, encoded(document(data="?")).replace(b'"?"', text.encode()))


def _wide(shape: list[int]) -> bytes:
    return post(encoded(document(shape=shape, data=[])), path="/v2/models/wide/infer")


BODIES: list[Row] = [
    _body("good", "200", GOOD),
    _body("nothing", JSON, b""),
    _body("null", REQUEST, b"null"),
    _body("a number", REQUEST, b"1"),
    _body("a list", REQUEST, b"[]"),
    _body("a text", REQUEST, b'"a"'),
    _body("an empty object", REQUEST, b"{}"),
    _body("no UTF-8", JSON, b"\xff\xfe\x00"),
    _body("cut", JSON, GOOD[:-3]),
    _body("more behind it", JSON, GOOD + b"x"),
    _body("twice", JSON, GOOD * 2),
    _body("UTF-16", JSON, json.dumps(document()).encode("utf-16")),
    _body("a byte order mark", JSON, b"\xef\xbb\xbf" + GOOD),
    _body("inputs null", REQUEST, encoded({"inputs": None})),
    _body("no inputs", "400 INPUT_MISSING", encoded({"inputs": []})),
    _body("inputs an object", REQUEST, encoded({"inputs": {}})),
    _body("members twice, the last counts", "200", b'{"inputs":[],' + GOOD[1:]),
    _body("id a number", REQUEST, encoded(document() | {"id": 5})),
    _body(
        "output unknown", "400 OUTPUT_UNKNOWN", encoded(document() | {"outputs": [{"name": "z"}]})
    ),
    _body(
        "output twice",
        "400 OUTPUT_DUPLICATE",
        encoded(document() | {"outputs": [{"name": "y"}] * 2}),
    ),
    _body(
        "parameter reserved",
        "400 PARAMETER_RESERVED",
        encoded(document() | {"parameters": {"triton_x": 1}}),
    ),
    _body(
        "priority negative",
        "400 PARAMETER_INVALID",
        encoded(document() | {"parameters": {"priority": -1}}),
    ),
    _body(
        "timeout a text",
        "400 PARAMETER_INVALID",
        encoded(document() | {"parameters": {"timeout": "a"}}),
    ),
    _body("parameters a list", REQUEST, encoded(document() | {"parameters": []})),
    _body("a parameter nested", REQUEST, encoded(document() | {"parameters": {"a": {}}})),
]

DEEP: list[Row] = [
    (
        "data 100,000 deep",
        lambda: post(encoded(document(data="?")).replace(b'"?"', b"[" * 100_000 + b"]" * 100_000)),
        JSON,
    ),
    (
        "inputs 100,000 deep",
        lambda: post(b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        REQUEST,
    ),
    (
        "an unknown member 100,000 deep",
        lambda: post(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        JSON,
    ),
    ("brackets that stay open", lambda: post(b'{"inputs":[' * 100_000), JSON),
    ("100,000 inputs", lambda: post(encoded({"inputs": document()["inputs"] * 100_000})), REQUEST),
    (
        "100,000 outputs",
        lambda: post(encoded(document() | {"outputs": [{"name": "y"}] * 100_000})),
        REQUEST,
    ),
    ("a name of 1 MiB", lambda: post(encoded(document(name="x" * MIB))), "400 INPUT_UNKNOWN"),
    ("an id of 1 MiB", lambda: post(encoded(document() | {"id": "i" * MIB})), "200"),
]

TENSORS: list[Row] = [
    _tensor("name a number", REQUEST, name=1),
    _tensor("no name", REQUEST, name=None),
    _tensor("name empty", "400 INPUT_UNKNOWN", name=""),
    _tensor("name NUL", "400 INPUT_UNKNOWN", name="\0"),
    _tensor("name half a surrogate", JSON, name="\ud800"),
    _tensor("datatype unknown", "400 DATATYPE_MISMATCH", datatype="FP33"),
    _tensor("datatype lower-case", "400 DATATYPE_MISMATCH", datatype="fp32"),
    _tensor("datatype another", "400 DATATYPE_MISMATCH", datatype="INT32"),
    _tensor("datatype a number", REQUEST, datatype=1),
    _tensor("shape -1", "400 SHAPE_NEGATIVE", shape=[-1, 2]),
    _tensor("shape -2^63", "400 SHAPE_NEGATIVE", shape=[-(2**63), 2]),
    _tensor("shape 2^63", REQUEST, shape=[2**63, 2]),
    _tensor("shape 10^400", REQUEST, shape=[10**400, 2]),
    _tensor("shape 1.0", REQUEST, shape=[1.0, 2]),
    _tensor("shape a text", REQUEST, shape="12"),
    _tensor("no shape", REQUEST, shape=None),
    _tensor("shape empty", "400 SHAPE_MISMATCH", shape=[]),
    _tensor("10,000 dimensions", REQUEST, shape=[1] * 10_000),
    _tensor("no rows", "200", shape=[0, 2], data=[]),
    _tensor("more rows than a batch has", "200", shape=[65, 2], data=[1] * 130),
    _tensor("no data", "400 CONTENTS_MISSING", data=None),
    _tensor("data too few", DATA, data=[1]),
    _tensor("data too many", DATA, data=[1, 2, 3]),
    _tensor("data texts", DATA, data=["a", "b"]),
    _tensor("data with null", DATA, data=[None, 1]),
    _tensor("data an object", DATA, data={"a": 1}),
    _tensor("data booleans", DATA, data=[True, False]),
    _tensor("data ragged", DATA, data=[[1], [2]]),
    _tensor("data nested too deep", DATA, data=[[[1, 2]]]),
    _data("data null", "400 CONTENTS_MISSING", "null"),
    _data("data NaN", JSON, "[NaN,1]"),
    _data("data 1e400", DATA, "[1e400,1]"),
    _data("data 1e39", DATA, "[1e39,1]"),
    _data("data of 5,000 digits", DATA, f"[{'9' * 5000},1]"),
    _data("data and its size", "400 CONTENTS_MIXED", '[1,2],"parameters":{"binary_data_size":8}'),
] + [
    (
        f"wide {shape}",
        partial(_wide, shape),
        "400 SHAPE_TOO_LARGE",
    )
    for shape in [[1, 2**32, 2**32], [1, 2**62, 4], [1, 2**62, 0], [1, 2**31, 2]]
]

BINARY = encoded(document(data=None, parameters={"binary_data_size": 8}))


def _tail(label: str, expected: str, length: str, body: bytes = BINARY + bytes(8)) -> Row:
    return label, lambda: post(body, f"{HEADER_LENGTH}: {length}"), expected


INVALID = "400 HEADER_LENGTH_INVALID"
TAILS: list[Row] = [
    _tail("tail good", "200", str(len(BINARY))),
    _tail("header length -1", INVALID, "-1"),
    _tail("header length too large", INVALID, "99999"),
    _tail("header length a text", INVALID, "abc"),
    _tail("header length empty", INVALID, ""),
    _tail("header length 1.0", INVALID, "1.0"),
    _tail("header length of 50 digits", INVALID, "9" * 50),
    _tail("header length cuts the JSON", JSON, "10"),
    _tail("tail short", "400 BINARY_SIZE_MISMATCH", str(len(BINARY)), BINARY + bytes(4)),
    _tail("tail long", "400 BINARY_SIZE_MISMATCH", str(len(BINARY)), BINARY + bytes(12)),
    _tail("raw of 7 bytes", "400 RAW_SIZE_MISMATCH", "0", bytes(7)),
    _tail("raw of nothing", "400 RAW_SIZE_MISMATCH", "0", b""),
    ("tail and no header length", lambda: post(BINARY), "400 HEADER_LENGTH_MISSING"),
    _tensor(
        "size negative", "400 PARAMETER_INVALID", data=None, parameters={"binary_data_size": -8}
    ),
    _tensor(
        "size 2^70", "400 PARAMETER_INVALID", data=None, parameters={"binary_data_size": 2**70}
    ),
    _tensor(
        "size a text", "400 PARAMETER_INVALID", data=None, parameters={"binary_data_size": "8"}
    ),
]


def _packed(label: str, expected: str, encoding: str, pack: Callable[[], bytes]) -> Row:
    return label, lambda: post(pack(), f"Content-Encoding: {encoding}"), expected


BROKEN = "400 MALFORMED_ENCODING"
UNSUPPORTED = "501 ENCODING_UNSUPPORTED"
PACKED: list[Row] = [
    _packed("gzip good", "200", "gzip", lambda: gzip.compress(GOOD)),
    _packed("gzip that is none", BROKEN, "gzip", lambda: b"garbage"),
    _packed("gzip of nothing", BROKEN, "gzip", lambda: b""),
    _packed("gzip cut", BROKEN, "gzip", lambda: gzip.compress(GOOD)[:-5]),
    _packed("gzip and more", BROKEN, "gzip", lambda: gzip.compress(GOOD) + b"x"),
    _packed("deflate without its head", BROKEN, "deflate", lambda: zlib.compress(GOOD)[2:-4]),
    _packed(
        "a bomb of gzip", "400 BODY_TOO_LARGE", "gzip", lambda: gzip.compress(bytes(300 * MIB), 1)
    ),
    _packed(
        "a bomb of deflate",
        "400 BODY_TOO_LARGE",
        "deflate",
        lambda: zlib.compress(bytes(300 * MIB), 1),
    ),
    _packed(
        "a bomb in gzip", JSON, "gzip", lambda: gzip.compress(gzip.compress(bytes(100 * MIB), 1))
    ),
    _packed("br", UNSUPPORTED, "br", lambda: GOOD),
    _packed("gzip twice", UNSUPPORTED, "gzip, gzip", lambda: GOOD),
    _packed("no UTF-8", UNSUPPORTED, "\xff", lambda: GOOD),
    ("a length of 65 MiB", lambda: _announced(65 * MIB), "400 BODY_TOO_LARGE"),
    ("65 MiB in chunks", lambda: _chunked(65), "400 BODY_TOO_LARGE"),
]


def _announced(size: int) -> bytes:
    return f"POST {INFER_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()


def _chunked(mib: int) -> bytes:
    head = f"POST {INFER_PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + (b"100000\r\n" + bytes(MIB) + b"\r\n") * mib


ROWS = [*BODIES, *DEEP, *TENSORS, *TAILS, *PACKED]


@pytest.mark.parametrize(
    ("build", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_request(target: Target, build: Callable[[], bytes], expected: str) -> None:
    """A request with one thing wrong gets the status and the reason of that thing."""
    assert expected == ask(target.http_address("inference"), build())
