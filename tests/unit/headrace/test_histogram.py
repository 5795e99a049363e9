"""The histogram: what merging, quantiles and octaves promise, on random data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from headrace.histogram import BUCKET_COUNT, EDGES_NS, Histogram, merged

Durations = npt.NDArray[np.float64]
RELATIVE_ERROR = 0.022

DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int], Durations]] = {
    "log-normal around 2 ms": lambda random, n: random.lognormal(np.log(2e6), 0.8, n),
    "uniform up to a second": lambda random, n: random.uniform(2e3, 1e9, n),
    "exponential around 300 us": lambda random, n: 2e3 + random.exponential(3e5, n),
    "two humps": lambda random, n: np.where(
        random.random(n) < 0.9, random.normal(1e6, 5e4, n), random.normal(8e7, 4e6, n)
    ),
    "all the same": lambda random, n: np.full(n, 1.234e6),
    "on the edges": lambda random, n: random.choice(EDGES_NS[1:], n),
}


def histogram_of(durations: npt.NDArray[Any]) -> Histogram:
    histogram = Histogram()
    histogram.record(durations)
    return histogram


@pytest.fixture(params=range(5))
def random(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("quantile", [0.01, 0.5, 0.9, 0.95, 0.99, 0.999])
def test_quantiles_are_near_the_exact_ones(
    random: np.random.Generator, name: str, quantile: float
) -> None:
    """A quantile is within 2.2 % of the exact one, whatever the distribution."""
    durations = DISTRIBUTIONS[name](random, 10_000)
    exact = np.quantile(durations, quantile, method="inverted_cdf")
    assert histogram_of(durations).quantile_ns(quantile) == pytest.approx(exact, rel=RELATIVE_ERROR)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_merging_equals_recording_all(random: np.random.Generator, name: str) -> None:
    """Merged histograms of parts hold exactly what one histogram of everything holds."""
    durations = DISTRIBUTIONS[name](random, 5000).astype(np.int64)
    parts = np.split(durations, np.sort(random.integers(0, 5000, 7)))
    together = merged(histogram_of(part) for part in parts)
    assert histogram_of(durations).sparse() == together.sparse()
    assert int(durations.sum()) == together.sum_ns


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_octaves_count_exactly_what_is_at_or_below_an_edge(
    random: np.random.Generator, name: str
) -> None:
    """Cumulative counts at powers of two are exact, grow, and end at or below the whole count."""
    durations = DISTRIBUTIONS[name](random, 3000)
    octaves = histogram_of(durations).octaves()
    exact = [int((durations <= 2.0**exponent).sum()) for exponent in range(10, 40)]
    assert exact == [count for _, count in octaves]
    assert [2.0**exponent / 1e9 for exponent in range(10, 40)] == [edge for edge, _ in octaves]


def test_sparse_form_comes_back_the_same(random: np.random.Generator) -> None:
    """What `sparse` gives makes the same histogram again."""
    histogram = histogram_of(random.lognormal(15, 3, 1000))
    again = Histogram.from_sparse(histogram.sparse(), histogram.sum_ns)
    assert histogram.counts.tolist() == again.counts.tolist()
    assert histogram.sum_ns == again.sum_ns


def test_one_duration_many_times_is_as_many_records() -> None:
    """Recording one duration n times equals recording n durations."""
    one = Histogram()
    one.record_one(5_000_000, times=7)
    many = Histogram()
    many.record(np.full(7, 5_000_000))
    assert (many.sparse(), many.sum_ns) == (one.sparse(), one.sum_ns)


@pytest.mark.parametrize(
    ("duration_ns", "bucket"),
    [
        (0, 0),
        (1024, 0),
        (1025, 1),
        (2048, 16),
        (2**40, BUCKET_COUNT - 1),
        (2**62, BUCKET_COUNT - 1),
    ],
)
def test_the_ends_hold_what_is_outside(duration_ns: int, bucket: int) -> None:
    """Too short goes to the first bucket, too long to the last, an edge to the bucket it closes."""
    histogram = Histogram()
    histogram.record_one(duration_ns)
    assert {bucket: 1} == histogram.sparse()


def test_an_empty_histogram_has_no_quantiles() -> None:
    """Nothing recorded is 0 everywhere."""
    empty = Histogram()
    assert (0, 0.0, {}) == (empty.count, empty.quantile_ns(0.99), empty.sparse())


@pytest.mark.parametrize("index", [-1, BUCKET_COUNT, 10**6])
def test_an_index_out_of_range_still_counts(index: int) -> None:
    """A bucket that another build knows is counted at the nearest end, not lost."""
    assert 3 == Histogram.from_sparse({index: 3}, 0).count
