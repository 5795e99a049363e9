"""Texts for the runtime: read all at once or one by one, they and their errors must be the same."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import bytes_elements as elements
from headrace.datatypes import Datatype
from headrace.errors import InvalidArgument
from headrace_inference.domain.scheduling.requests import TensorHeader
from headrace_inference.wire.codec.tensors import bytes_tensor, raw_texts
from headrace_inference.wire.codec.typed_contents import PIECE_ELEMENTS, bytes_elements
from tests.unit.inference.runtime.models import Tensor, node, save

COUNT = 70
"""More than are read one by one."""

WORDS = st.one_of(
    st.text(max_size=7),
    st.text("ab", max_size=20),
    st.sampled_from(["", "a", "é", "日本", "x" * 127, "x" * 128, "x" * 256, "a\0", "\0", "😀"]),
)
TEXTS = st.one_of(
    st.lists(WORDS, min_size=COUNT, max_size=COUNT),
    st.lists(st.text("ab", min_size=3, max_size=3), min_size=COUNT, max_size=COUNT),
    st.lists(st.text("ab", max_size=24), min_size=COUNT, max_size=COUNT),
)


@pytest.fixture(scope="module", params=["python", "compiled"], autouse=True)
def _ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """By compiled code and without."""
    compiled = request.param == "compiled"
    module = request.getfixturevalue("compiled_elements") if compiled else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elements, "compiled", module)
        yield


def raw_of(elements: list[bytes]) -> bytes:
    """As the protocol says, element by element."""
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def outcome(read: Any, raw: bytes | memoryview, header: TensorHeader) -> object:
    """The texts and their shape, or the error."""
    try:
        array = read(raw, header)
    except InvalidArgument as error:
        return error.reason, str(error)
    return array.shape, array.tolist()


def one_by_one(raw: bytes, header: TensorHeader) -> Any:
    """Each element by itself."""
    return bytes_tensor(bytes_elements(raw, math.prod(header.shape)), header)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.data())
def test_texts_and_errors_are_those_of_one_by_one(texts: list[str], data: st.DataObject) -> None:
    """Whole tensors, such as were damaged or cut anywhere, and such as a shape does not fit."""
    raw = bytearray(raw_of([text.encode() for text in texts]))
    for _ in range(data.draw(st.integers(0, 2))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))])
    shape = data.draw(st.sampled_from([(COUNT,), (7, 10), (COUNT, 1), (COUNT + 1,), (COUNT - 1,)]))
    header = TensorHeader("x", "BYTES", shape)
    assert outcome(one_by_one, cut, header) == outcome(raw_texts, cut, header)
    assert outcome(one_by_one, cut, header) == outcome(raw_texts, memoryview(cut), header)


@pytest.mark.parametrize("place", [0, 1, 68, 69])
def test_a_character_may_not_be_split_over_elements(place: int) -> None:
    """Joined they would be UTF-8, which none of them is: the first one is named."""
    elements = [b"word"] * (COUNT + 1)
    elements[place : place + 2] = [b"a\xc3", b"\xa9b"]
    header = TensorHeader("x", "BYTES", (COUNT + 1,))
    with pytest.raises(InvalidArgument, match=f"element {place} of inference input 'x'") as refused:
        raw_texts(raw_of(elements), header)
    assert refused.value.reason == "BYTES_NOT_UTF8"


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A graph that answers the texts that it gets."""
    path: Path = tmp_path_factory.mktemp("echo") / "model.onnx"
    x, y = Tensor("x", Datatype.BYTES, ["n"]), Tensor("y", Datatype.BYTES, ["n"])
    save(path, [node("Identity", ["x"], ["y"])], [x], [y])
    return onnxruntime.InferenceSession(str(path))


@settings(max_examples=100, deadline=None)
@given(texts=TEXTS)
def test_the_runtime_takes_them_as_the_texts_that_they_are(echo: Any, texts: list[str]) -> None:
    """Whatever the kind of array, and with every NUL."""
    array = raw_texts(
        raw_of([text.encode() for text in texts]), TensorHeader("x", "BYTES", (COUNT,))
    )
    (answer,) = echo.run(None, {"x": array})
    assert texts == answer.tolist()


@pytest.mark.parametrize(
    "texts",
    [
        [f"word {number}" for number in range(2 * PIECE_ELEMENTS + 5)],
        [f"wörd {number}" for number in range(2 * PIECE_ELEMENTS + 5)],
        ["alike"] * (2 * PIECE_ELEMENTS),
        ["é" * (number % 40) for number in range(2 * PIECE_ELEMENTS + 5)],
    ],
    ids=["words", "not ascii", "alike", "some empty"],
)
def test_many_are_read_in_pieces(texts: list[str]) -> None:
    """Of one or of several pieces, they are the same."""
    header = TensorHeader("x", "BYTES", (len(texts),))
    assert texts == raw_texts(raw_of([text.encode() for text in texts]), header).tolist()


def test_arrays_of_texts_are_joined_whatever_their_kinds() -> None:
    """Requests of a batch may have texts of a fixed width, of another one, and objects."""
    rows = [["ab"] * COUNT, ["abc"] * COUNT, ["é"] * COUNT, ["a\0"] * COUNT]
    header = TensorHeader("x", "BYTES", (1, COUNT))
    arrays = [raw_texts(raw_of([text.encode() for text in row]), header) for row in rows]
    assert rows == np.concatenate(arrays).tolist()
    assert rows[:2] == np.concatenate(arrays[:2]).tolist()


def test_compiled_code_reads_what_it_says(compiled_elements: Any) -> None:
    """Texts of a width, texts of objects, and nothing of what is not whole or is too much."""
    read = compiled_elements.read_texts
    words = raw_of([b"ab", b"", b"c"])
    width, characters = read(words, 3, 9, 2, 9)
    assert (2, ["ab", "", "c"]) == (width, np.frombuffer(characters, "U2").tolist())
    assert ["ab", "", "c"] == read(words, 3, 9, 1, 9) == read(memoryview(words), 3, 9, 1, 3)
    assert ["a\0", "é"] == read(raw_of([b"a\0", "é".encode()]), 2, 9, 9, 9)
    assert [""] == read(raw_of([b""]), 1, 9, 9, 9)
    for raw, count, most in [
        (words, 2, 9),
        (words, 4, 9),
        (words, 0, 9),
        (words, -1, 9),
        (words, 2**62, 9),
        (words[:-1], 3, 9),
        (words, 3, 2),
        (raw_of([b"\xff"]), 1, 9),
        (b"\xff\xff\xff\xffab", 1, 9),
        (b"", 0, 9),
    ]:
        assert read(raw, count, 0, 0, most) is None


def test_compiled_code_writes_texts_and_bytes_alone(compiled_elements: Any) -> None:
    """What has no bytes of its own is left to whoever knows more."""
    write = compiled_elements.write_elements
    assert raw_of([b"a", b"\xff\0", "é".encode(), b""]) == write(["a", b"\xff\0", "é", ""])
    assert b"" == write([])
    for others in ([1], [None, "a"], ["\ud800"], ("a",)):
        assert write(others) is None
