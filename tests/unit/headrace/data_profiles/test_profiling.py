"""Tests of profiles: the bins of values, what is looked at of tensors, and sums that are exact."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.conversion.data_profiles import (
    layout_from_proto,
    layout_to_proto,
    profile_from_proto,
    profile_to_proto,
)
from headrace.data_profiles.binning import bin_count, places_of
from headrace.data_profiles.float_bits import BIN_COUNT, FIRST, ZERO, float_bit_places, upper_edges
from headrace.data_profiles.layouts import VALUE, BinKind, Bins, FieldKind, Layout, Place
from headrace.data_profiles.profiles import AspectKey, Profile
from headrace.data_profiles.profiling import RowProfiler
from headrace.data_profiles.projections import PROJECTIONS, projected
from headrace.data_profiles.scripts import script_of
from headrace.data_profiles.tensor_fields import (
    BUCKET,
    CLASS,
    CONFIDENCE,
    LENGTH,
    NORM,
    SCRIPT,
    layout_of,
    length_field,
    tensor_fields,
)

_RANDOM = np.random.default_rng(3)


def fields_of(
    name: str, array: npt.NDArray[Any], place: Place = Place.INPUT, labels: tuple[str, ...] = ()
) -> Layout:
    return layout_of(
        tensor_fields(
            place,
            name,
            array.reshape(len(array), -1).shape[1],
            is_text=array.dtype == object,
            is_float=array.dtype.kind == "f",
            labels=labels,
        )
    )


def profile(
    name: str, array: npt.NDArray[Any], place: Place = Place.INPUT, labels: tuple[str, ...] = ()
) -> Profile:
    profiler = RowProfiler(fields_of(name, array, place, labels), {name: labels})
    tally = profiler.tally()
    tally.add(profiler.binned({(place, name): array}, {}, len(array)))
    return tally.profile(len(array))


def filled(found: Profile, field: str, aspect: str = VALUE) -> Mapping[int, int]:
    counts = found.counts[AspectKey(field, aspect)]
    return {int(place): int(counts[place]) for place in np.flatnonzero(counts)}


def test_bins_by_bits_follow_one_another_without_gaps() -> None:
    """The largest number of each bin is in it, and the next one in the next."""
    edges = upper_edges()
    assert BIN_COUNT - FIRST == len(edges)
    assert float_bit_places(edges).tolist() == list(range(FIRST, BIN_COUNT))
    above = np.nextafter(edges[:-1], np.inf)
    assert float_bit_places(above).tolist() == list(range(FIRST + 1, BIN_COUNT))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_is_no_number_has_bins_of_its_own(dtype: type[np.floating[Any]]) -> None:
    """Missing, infinite of both signs, and zero of both signs are told apart from all others."""
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0], dtype)
    one = ZERO + 1 + 16 * 8
    assert float_bit_places(values).tolist() == [0, 1, 1, ZERO, ZERO, one, 2 * ZERO - one]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=50))
@settings(max_examples=100, deadline=None)
def test_any_double_is_in_the_bin_that_its_edges_say(values: list[float]) -> None:
    """Whatever the number, its bin is the one between whose edges it lies."""
    numbers = np.array(values, np.float64)
    finite = numbers[np.isfinite(numbers)]
    expected = FIRST + np.searchsorted(upper_edges(), finite, side="left")
    assert float_bit_places(finite).tolist() == expected.tolist()
    assert float_bit_places(numbers).max(initial=0) < BIN_COUNT


def test_columns_are_profiled_at_once_as_one_by_one() -> None:
    """A tensor of numbers has a field for each column, in the bins of its bits."""
    values = _RANDOM.normal(size=(300, 2, 3)).astype(np.float32)
    values[5, 0, 1] = np.nan
    found = profile("x", values)
    for column in range(6):
        expected = np.bincount(
            float_bit_places(values.reshape(300, 6)[:, column]), minlength=BIN_COUNT
        )
        counts = found.counts[AspectKey(f"input x[{column}]", VALUE)]
        assert counts.tolist() == expected.tolist()


def test_a_reference_says_which_bins() -> None:
    """Edges and labels are those of the layout, and what is not there is missing."""
    edges = Bins(BinKind.EDGES, edges=(0.0, 1.0, 2.0))
    labels = Bins(BinKind.LABELS, labels=("3", "0.5"))
    numbers = np.array([0.0, -1.0, 1.0, 1.5, 9.0, np.nan, -np.inf])
    assert places_of(edges, numbers).tolist() == [3, 2, 3, 4, 5, 0, 1]
    assert places_of(labels, np.array([0.5, 3.0, 4.0, np.nan])).tolist() == [3, 2, 4, 0]
    assert (bin_count(edges), bin_count(labels)) == (6, 5)


def test_an_input_that_is_left_out_is_missing() -> None:
    """An optional input that a request does not bring counts as missing, row by row."""
    layout = fields_of("x", np.zeros((1, 2), np.float32))
    profiler = RowProfiler(layout)
    tally = profiler.tally()
    tally.add(profiler.binned({}, {}, 7))
    found = tally.profile(7)
    assert {0: 7} == filled(found, "input x[0]") == filled(found, "input x[1]")


def test_texts_have_lengths_scripts_and_buckets() -> None:
    """Of a text without a reference no word is kept: its length, its script, a bucket of its hash."""
    texts = np.array(["hello", "привет", "", "你好", "12"], object)
    found = profile("t", texts)
    assert sum(filled(found, "input t", LENGTH).values()) == 5
    assert filled(found, "input t", LENGTH)[0] == 1
    assert 1 == filled(found, "input t", SCRIPT)[0]
    assert 5 == sum(filled(found, "input t", BUCKET).values())
    scripts = ["latin", "cyrillic", "", "han", "no letters"]
    assert scripts == [script_of(text) for text in texts]
    assert ("kana", "hangul") == (script_of("漢字かな"), script_of("한국어"))


def test_an_output_that_weighs_classes_has_class_and_confidence() -> None:
    """Shares of 1 are taken as they are, other weights by softmax; classes have the names of the labels."""
    weights = np.array([[0.1, 0.9], [0.8, 0.2], [3.0, 1.0], [np.nan, 1.0]], np.float32)
    found = profile("y", weights, Place.OUTPUT, ("no", "yes"))
    assert {0: 1, 2: 2, 3: 1} == filled(found, "output y", CLASS)
    softmax = 1 / (1 + np.exp(-2.0))
    expected = np.bincount(float_bit_places(np.array([0.9, 0.8, softmax, np.nan], np.float32)))
    counts = filled(found, "output y", CONFIDENCE)
    assert {int(at): int(expected[at]) for at in np.flatnonzero(expected)} == counts


def test_large_tensors_are_looked_at_whole() -> None:
    """An image has norm, moments and projections, and these are the same whoever computes them."""
    images = _RANDOM.normal(size=(20, 3, 20, 20)).astype(np.float32)
    found = profile("x", images)
    (field,) = fields_of("x", images).fields
    assert FieldKind.TENSOR is field.kind
    assert 3 + PROJECTIONS == len(field.aspects)
    norms = np.linalg.norm(images.reshape(20, -1).astype(np.float64), axis=1)
    assert set(float_bit_places(norms).tolist()) == set(filled(found, "input x", NORM))
    again = projected(images.reshape(20, -1))
    assert np.array_equal(again[:, :], projected(images.reshape(20, -1)))
    assert abs(float(again.std()) - 1.0) < 0.3


def test_lengths_of_generations_are_fields() -> None:
    """A prompt's and an answer's tokens are counted by length."""
    profiler = RowProfiler(layout_of(chain([length_field("prompt"), length_field("answer")])))
    tally = profiler.tally()
    tally.add(profiler.binned({}, {"prompt": np.array([5, 300]), "answer": np.array([0, 16])}, 2))
    found = tally.profile(9)
    assert {ZERO: 1, int(float_bit_places(np.array([16.0]))[0]): 1} == filled(
        found, "length answer"
    )
    assert (2, 9) == (found.rows, found.seen_rows)


@given(st.permutations(range(6)), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_sums_are_exact_in_any_order(order: list[int], cut: int) -> None:
    """Whoever profiles which rows, and in whatever order they are added: the sum is that of all rows."""
    values = np.arange(60, dtype=np.float32).reshape(12, 5) - 20
    parts = [profile("x", values[2 * part : 2 * part + 2]) for part in order]
    left, right = parts[0], parts[cut]
    for part in parts[1:cut]:
        left = left.plus(part)
    for part in parts[cut + 1 :]:
        right = right.plus(part)
    total, whole = left.plus(right), profile("x", values)
    assert whole.rows == total.rows
    for key, counts in whole.counts.items():
        assert counts.tolist() == total.counts[key].tolist()


def test_rows_are_counted_by_slice() -> None:
    """The bins of rows are found once, and counted for whichever of them are chosen."""
    values = np.array([[1.0], [2.0], [4.0]], np.float32)
    profiler = RowProfiler(fields_of("x", values))
    binned = profiler.binned({(Place.INPUT, "x"): values}, {}, 3)
    tally = profiler.tally()
    tally.add(binned, np.array([True, False, True]))
    found = tally.profile(2)
    assert 2 == found.rows
    assert [1, 1] == list(filled(found, "input x").values())


def test_profiles_travel_as_messages() -> None:
    """A layout and a profile are the same behind a message; bins that there are not are refused."""
    values = _RANDOM.normal(size=(50, 3)).astype(np.float32)
    layout, found = fields_of("x", values), profile("x", values)
    message = profile_to_proto(found)
    back = profile_from_proto(message, layout_from_proto(layout_to_proto(layout)))
    assert layout == layout_from_proto(layout_to_proto(layout))
    assert all(counts.tolist() == back.counts[key].tolist() for key, counts in found.counts.items())
    message.counts[0].bins[-1] = BIN_COUNT
    with pytest.raises(ValueError, match="there is no bin"):
        profile_from_proto(message, layout)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((5, 0), np.float32),
        np.full((5, 3), b"text", object),
        np.zeros((5, 300), np.float16),
        np.full(5, 1e308),
        np.zeros((5, 3, 2), np.uint8),
    ],
)
def test_rows_that_are_not_as_the_bins_say_are_missing_and_cost_no_others(
    rows: npt.NDArray[Any],
) -> None:
    """As where a reference is of rows of another shape, or a label file of other classes."""
    labels = {"scores": ("a", "b", "c")}
    fields = [
        *tensor_fields(Place.INPUT, "x", 1, is_text=False, is_float=True),
        *tensor_fields(Place.INPUT, "columns", 3, is_text=False, is_float=True),
        *tensor_fields(Place.INPUT, "text", 1, is_text=True, is_float=False),
        *tensor_fields(Place.OUTPUT, "scores", 3, is_text=False, is_float=True, labels="abc"),
        *tensor_fields(Place.OUTPUT, "all", None, is_text=False, is_float=True),
        *tensor_fields(Place.OUTPUT, "good", 1, is_text=False, is_float=True),
    ]
    profiler = RowProfiler(Layout(tuple(fields)), labels)
    tensors = {(field.place, field.tensor): rows for field in fields}
    tensors[Place.OUTPUT, "good"] = np.arange(5, dtype=np.float32)
    tally = profiler.tally()
    tally.add(profiler.binned(tensors, {}, 5))
    found = tally.profile(5)
    assert {5} == {int(counts.sum()) for counts in found.counts.values()}
    assert 5 == len(filled(found, "output good"))
