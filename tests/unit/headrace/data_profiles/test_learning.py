"""References that are made of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from headrace.data_profiles.binning import count
from headrace.data_profiles.layouts import VALUE, BinKind, FieldKind
from headrace.data_profiles.learning import MAX_LABELS, reference_of
from headrace.data_profiles.learnt_schemas import MARGIN
from headrace.data_profiles.observed_rows import observed_fields
from headrace.data_profiles.profiles import AspectKey, Counts
from headrace.data_profiles.quantile_edges import QUANTILES, edges_among
from headrace.data_profiles.references import FieldSchema, Reference
from headrace.data_profiles.tensor_fields import MAX_FIELDS

_RANDOM = np.random.default_rng(7)


def _reference(**inputs: npt.NDArray[Any]) -> Reference:
    rows = len(next(iter(inputs.values())))
    return reference_of(observed_fields(inputs, {}), rows)


def _counts(reference: Reference, field: str = "input x", aspect: str = VALUE) -> Counts:
    return reference.profile.counts[AspectKey(field, aspect)]


def test_a_continuous_number_has_64_bins_that_hold_alike_many_rows() -> None:
    """Edges are at the quantiles, from the least value to the largest."""
    values = _RANDOM.normal(size=6400)
    reference = _reference(x=values)
    bins = reference.layout.fields[0].aspects[VALUE]
    assert (bins.kind, len(bins.edges)) == (BinKind.EDGES, QUANTILES + 1)
    assert (bins.edges[0], bins.edges[-1]) == (values.min(), values.max())
    counts = _counts(reference)
    assert counts[:3].tolist() == [0, 0, 0]
    assert counts[-1] == 0
    assert (counts[3:-1].min() >= 99, counts[3:-1].max() <= 101) == (True, True)


def test_a_value_that_repeats_has_a_bin_of_its_own() -> None:
    """Zeros of a price become rarer or more frequent without any other bin's telling."""
    values = np.concatenate([np.zeros(5000), _RANDOM.gamma(2, size=5000)])
    assert _counts(_reference(x=values))[3] == 5000


def test_bins_hold_the_values_up_to_their_upper_edge() -> None:
    """The least value is within the first bin, what is below it in the one before."""
    bins = _reference(x=np.arange(1000.0)).layout.fields[0].aspects[VALUE]
    outside = np.array([-1.0, 1000.0, np.nan, np.inf, -np.inf])
    counts = count(bins, np.concatenate([[0.0, bins.edges[1]], outside]))
    assert (counts[0], counts[1], counts[2], counts[3], counts[-1]) == (1, 2, 1, 2, 1)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (np.full(100, 3, np.float32), ("3",)),
        (np.tile([0.5, 0.25], 50), ("0.25", "0.5")),
        (np.tile([True, False], 50), ("0", "1")),
        (np.tile(np.array(["no", "yes", ""], object), 50), ("no", "yes")),
    ],
)
def test_few_distinct_values_are_categories(
    values: npt.NDArray[Any], labels: tuple[str, ...]
) -> None:
    """Each of them has a bin by its label, and all others share one."""
    reference = _reference(x=values)
    (field,) = reference.layout.fields
    assert (field.kind, field.aspects[VALUE].labels) == (FieldKind.CATEGORY, labels)
    assert reference.schema["input x"].categories == labels


def test_a_constant_in_a_small_sample_has_edges_around_it() -> None:
    """Four rows say too little of which values there are."""
    reference = _reference(x=np.full(4, 7.0))
    assert reference.layout.fields[0].kind is FieldKind.NUMBER
    assert _counts(reference).tolist() == [0, 0, 0, 4, 0]


def test_many_distinct_texts_are_texts() -> None:
    """Their lengths are counted, and no schema names them."""
    reference = _reference(x=np.array([f"no {n}" for n in range(MAX_LABELS + 1)] * 20, object))
    (field,) = reference.layout.fields
    assert (field.kind, list(field.aspects)) == (FieldKind.TEXT, ["length", "script"])
    assert reference.schema["input x"] == FieldSchema(missing_rate=0.0)


def test_a_schema_has_a_margin_that_does_not_cross_zero() -> None:
    """A range reaches a tenth of its spread further; what never was negative is not expected to be."""
    reference = _reference(x=np.linspace(1, 101, 500), y=np.linspace(-50, 50, 500))
    assert reference.schema["input x"] == FieldSchema(0.0, 101 + 100 * MARGIN)
    assert reference.schema["input y"] == FieldSchema(-60.0, 60.0)


def test_missing_values_are_counted_and_learnt() -> None:
    """A NaN and an empty text are missing."""
    reference = _reference(
        x=np.array([np.nan, *range(99)]), t=np.array(["", "a", "a", "a"] * 25, object)
    )
    assert reference.schema["input x"].missing_rate == 0.01
    assert reference.schema["input t"].missing_rate == 0.25


def test_a_sample_of_nothing_but_missing_values_is_taken() -> None:
    """Nothing is known of such a field but that."""
    reference = _reference(x=np.full(10, np.nan))
    assert reference.schema["input x"] == FieldSchema(missing_rate=1.0)


def test_columns_of_a_tensor_are_fields() -> None:
    """They are named by their place in the flattened row."""
    reference = _reference(x=_RANDOM.normal(size=(50, 2, 2)))
    assert [field.name for field in reference.layout.fields] == [f"input x[{n}]" for n in range(4)]


def test_a_digest_depends_on_the_rows_alone() -> None:
    """The same rows have the same digest; others another."""
    values = _RANDOM.normal(size=500)
    first, again, other = (_reference(x=each) for each in (values, values, values + 1))
    assert first.layout.reference == again.layout.reference == again.profile.reference
    assert first.layout.reference != other.layout.reference


def test_a_reference_is_bounded() -> None:
    """Fields beyond the limit are left out."""
    inputs = {f"x{n}": _RANDOM.normal(size=(20, 250)) for n in range(10)}
    assert len(_reference(**inputs).layout.fields) == MAX_FIELDS


def test_a_sample_without_rows_is_refused() -> None:
    """It would make bins of nothing."""
    with pytest.raises(ValueError, match="without rows"):
        _reference(x=np.zeros((0, 3)))


def test_edges_chosen_among_edges_keep_counts_exact() -> None:
    """What was counted in finer bins adds up in those that are chosen."""
    uppers, counts = np.arange(100.0), _RANDOM.integers(0, 50, 100)
    counts[:5] = 0
    edges = edges_among(uppers, counts, 8)
    assert set(edges) <= set(uppers.tolist())
    assert (edges[0], edges[-1]) == (4.0, 99.0)
    assert len(edges) == 9
