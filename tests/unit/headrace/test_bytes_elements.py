"""BYTES elements on the wire: all at once and one by one, they must be the same."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import bytes_elements
from headrace.bytes_elements import (
    decode_bytes_elements,
    elements_size,
    encode_bytes_elements,
    find_elements,
)
from headrace.errors import InvalidArgument

ELEMENTS = st.one_of(
    st.binary(max_size=5),
    st.text(max_size=9).map(str.encode),
    st.sampled_from([b"", b"\0", b"a", b"a" * 255, b"b" * 256, b"c" * 512, b"d" * 70_000]),
)
ALIKE = st.integers(0, 9).flatmap(lambda size: st.lists(st.binary(min_size=size, max_size=size)))
TENSORS = st.one_of(
    st.lists(ELEMENTS, max_size=60),
    ALIKE,
    st.lists(st.sampled_from([b"", b"a", b"abc"]), min_size=17, max_size=60),
)


@pytest.fixture(scope="module", params=["python", "compiled"], autouse=True)
def _ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """By compiled code and without."""
    compiled = request.param == "compiled"
    module = request.getfixturevalue("compiled_elements") if compiled else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bytes_elements, "compiled", module)
        yield


def raw_of(elements: list[bytes]) -> bytes:
    """As the protocol says, element by element."""
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def read(raw: bytes, expected: int | None) -> list[bytes] | tuple[str, int]:
    """As the protocol says, element by element: the elements, or which part of one is missing where."""
    elements: list[bytes] = []
    at = 0
    while at < len(raw) and (expected is None or len(elements) <= expected):
        if len(raw) - at < 4:
            return "length", at
        (size,) = struct.unpack_from("<I", raw, at)
        at += 4
        if len(raw) - at < size:
            return "data", at
        elements.append(raw[at : at + size])
        at += size
    return elements


def decoded(raw: bytes | memoryview, expected: int | None) -> list[bytes] | tuple[str, int]:
    """The same of what decodes for services and clients."""
    try:
        return decode_bytes_elements(raw, expected)
    except InvalidArgument as error:
        part = "length" if "length indicator" in str(error) else "data"
        return part, int(str(error).rpartition(" ")[2])


@settings(max_examples=150, deadline=None)
@given(TENSORS, st.data())
def test_what_is_cut_changed_or_miscounted_reads_as_one_by_one(
    elements: list[bytes], data: st.DataObject
) -> None:
    """Whole tensors, and such as were damaged anywhere, with any count expected of them."""
    raw = bytearray(raw_of(elements))
    for _ in range(data.draw(st.integers(0, 2))):
        if raw:
            at = data.draw(st.integers(0, len(raw) - 1))
            raw[at] = data.draw(st.sampled_from([0, 1, 4, 255]))
    cut = data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))
    expected = data.draw(st.one_of(st.none(), st.just(len(elements)), st.integers(0, 70)))
    damaged = bytes(raw[:cut])
    assert read(damaged, expected) == decoded(damaged, expected)
    assert read(damaged, expected) == decoded(memoryview(damaged), expected)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.one_of(st.none(), st.integers(0, 100)))
def test_any_bytes_read_as_one_by_one(raw: bytes, expected: int | None) -> None:
    """Bytes that nobody meant as a tensor."""
    assert read(raw, expected) == decoded(raw, expected)


@settings(max_examples=100, deadline=None)
@given(TENSORS)
def test_elements_are_written_as_one_by_one(elements: list[bytes]) -> None:
    """As bytes, and as texts where they are some."""
    array = np.array([None, *elements], np.object_)[1:]
    assert raw_of(elements) == encode_bytes_elements(array)
    assert len(raw_of(elements)) == elements_size(array)
    try:
        texts = [element.decode() for element in elements]
    except UnicodeDecodeError:
        return
    array = np.array([None, *texts], np.object_)[1:]
    assert raw_of(elements) == encode_bytes_elements(array)
    assert len(raw_of(elements)) == elements_size(array)


@pytest.mark.parametrize(
    "elements",
    [
        [f"word {number}".encode() for number in range(10_000)],
        [b"same"] * 10_000,
        [b"x" * (number % 300 * (number % 4 == 0)) for number in range(1200)],
        [b"", b"", b"a", b""] * 20,
        [b""] * 100,
        [b"a"] * 99 + [b"b" * 70_000] * 3 + [b"a"] * 2000,
    ],
    ids=["short", "alike", "around 256", "some empty", "all empty", "one long"],
)
def test_texts_without_nul_are_found_at_once(elements: list[bytes]) -> None:
    """All of them, wherever their lengths need one byte or more, and however many are empty."""
    raw = raw_of(elements)
    array = np.array(elements, np.object_)
    if len(raw) <= 128 * len(elements):
        found = find_elements(raw, len(elements))
        assert found is not None
        assert [len(element) for element in elements] == found.lengths.tolist()
    assert elements == decode_bytes_elements(raw, len(elements)) == decode_bytes_elements(raw)
    assert raw == encode_bytes_elements(array)


@pytest.mark.parametrize(
    "array",
    [
        np.array([["aé", "b\0"], ["", "日本"]] * 20),
        np.array([b"a", b"\xff\xfe"] * 20),
        np.array([1, None, "text", b"\xff"] * 20, np.object_),
        np.array([["a", "bc"]] * 40, np.object_).T,
        np.array("one", np.object_),
    ],
    ids=["fixed width", "fixed bytes", "of all kinds", "transposed", "scalar"],
)
def test_arrays_of_every_kind_are_written(array: Any) -> None:
    """In row-major order; what is neither text nor bytes by its text."""
    elements = [item if isinstance(item, bytes) else str(item).encode() for item in array.flat]
    assert raw_of(elements) == encode_bytes_elements(array)
    assert len(raw_of(elements)) == elements_size(array)


@pytest.mark.parametrize(
    ("place", "byte", "last"),
    [(0, 3, b"ab"), (120, 3, b"ab"), (120, 1, b"ab"), (121, 1, b"a\0"), (122, 1, b"a\0")],
    ids=["longer", "longer later", "shorter", "over 255", "over 65,535"],
)
def test_lengths_that_lead_nowhere_are_not_believed(place: int, byte: int, last: bytes) -> None:
    """As many zeros as there should be, in the right places, prove nothing; what lengths say does."""
    raw = bytearray(raw_of([*[b"ab"] * 99, last]))
    raw[place] = byte
    assert find_elements(bytes(raw), 100) is None
    assert isinstance(read(bytes(raw), 100), tuple)
    assert read(bytes(raw), 100) == decoded(bytes(raw), 100)
