"""References that are made of what was counted of traffic."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from headrace.data_profiles.binning import count
from headrace.data_profiles.layouts import VALUE, BinKind, Layout, Place
from headrace.data_profiles.learning_traffic import reference_of_traffic
from headrace.data_profiles.profiles import AspectKey, Profile
from headrace.data_profiles.profiling import RowProfiler
from headrace.data_profiles.references import Source
from headrace.data_profiles.tensor_fields import tensor_fields

KEY = AspectKey("input x", VALUE)
RANDOM = np.random.default_rng(3)
_WIDE = np.concatenate(
    [RANDOM.normal(size=5000) * 10.0 ** RANDOM.integers(-8, 12, 5000), [0.0] * 99]
)


def counted(values: npt.NDArray[Any]) -> tuple[Layout, Profile]:
    """What traffic of these values is counted as, while there is no reference."""
    is_text = values.dtype == object
    fields = tensor_fields(Place.INPUT, "x", 1, is_text=is_text, is_float=not is_text)
    profiler = RowProfiler(Layout(tuple(fields)))
    tally = profiler.tally()
    tally.add(profiler.binned({(Place.INPUT, "x"): values}, {}, len(values)))
    return profiler.layout, tally.profile(10 * len(values))


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.normal(size=5000),
        RANDOM.gamma(2, size=5000) * 1000,
        np.concatenate([np.full(50, np.nan), [np.inf, -np.inf], np.full(400, -3.0)]),
        np.full(30, 5.0),
        np.full(30, -1e300),
        np.array([-1e300, 0.0, 1e300]),
        _WIDE,
    ],
)
def test_counts_are_those_of_the_values_themselves(values: npt.NDArray[np.float64]) -> None:
    """Counting the rows again in the bins that were chosen gives the same counts."""
    layout, profile = counted(values)
    reference = reference_of_traffic(layout, profile)
    bins = reference.layout.fields[0].aspects[VALUE]
    assert bins.kind is BinKind.EDGES
    assert len(bins.edges) >= 2
    assert reference.profile.counts[KEY].tolist() == count(bins, values).tolist()
    assert (reference.source, reference.profile.rows) == (Source.TRAFFIC, len(values))


def test_the_range_holds_all_that_came() -> None:
    """A schema of traffic reaches as far as its bins do, and further by the margin."""
    values = RANDOM.normal(size=5000)
    schema = reference_of_traffic(*counted(values)).schema["input x"]
    assert schema.lowest is not None
    assert schema.highest is not None
    assert (schema.lowest < values.min(), schema.highest > values.max()) == (True, True)


def test_texts_keep_their_bins() -> None:
    """Scripts and buckets have bins that need no learning; lengths get edges."""
    layout, profile = counted(np.array(["a", "bb", ""] * 100, object))
    reference = reference_of_traffic(layout, profile)
    kinds = {name: bins.kind for name, bins in reference.layout.fields[0].aspects.items()}
    assert {"length": BinKind.EDGES, "script": BinKind.LABELS, "bucket": BinKind.LABELS} == kinds
    assert reference.schema["input x"].missing_rate == pytest.approx(1 / 3)


def test_a_reference_of_traffic_can_be_made_anew() -> None:
    """What is counted in the bins of a reference makes one with the same bins."""
    first = reference_of_traffic(*counted(RANDOM.normal(size=5000)))
    again = reference_of_traffic(first.layout, first.profile)
    assert first.layout.fields == again.layout.fields
    assert first.layout.reference == again.layout.reference


def test_traffic_without_rows_is_refused() -> None:
    """There is nothing to make bins of."""
    with pytest.raises(ValueError, match="without rows"):
        reference_of_traffic(Layout(), Profile())
