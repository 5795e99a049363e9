"""The histogram: what merging, quantiles and octaves promise, on random data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from headrace.telemetry import packed_histograms
from headrace.telemetry.histogram import BUCKET_COUNT, EDGES_NS, RELATIVE_ERROR, Histogram, merged

Durations = npt.NDArray[np.float64]

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
    """A quantile is within 0.55 % of the exact one, whatever the distribution."""
    durations = DISTRIBUTIONS[name](random, 10_000)
    exact = np.quantile(durations, quantile, method="inverted_cdf")
    assert histogram_of(durations).quantile_ns(quantile) == pytest.approx(
        exact, rel=RELATIVE_ERROR + 1e-9
    )


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
    assert histogram.all_buckets().tolist() == again.all_buckets().tolist()
    assert histogram.sum_ns == again.sum_ns


@pytest.mark.parametrize("count", [1, 255, 256, 2**16, 2**32, 2**48])
def test_packed_form_comes_back_the_same(random: np.random.Generator, count: int) -> None:
    """Two strings of bytes make the same histogram again, whatever the counts."""
    histogram = histogram_of(random.lognormal(15, 3, 1000))
    histogram.record_one(5_000_000, count)
    buckets, counts = packed_histograms.pack(histogram)
    again = packed_histograms.unpack(buckets, counts, histogram.sum_ns)
    assert (histogram.sparse(), histogram.sum_ns) == (again.sparse(), again.sum_ns)


@pytest.mark.parametrize("name", ["log-normal around 2 ms", "uniform up to a second", "two humps"])
def test_counts_of_scale_4_are_placed_within_what_is_stated(
    random: np.random.Generator, name: str
) -> None:
    """An older replica's counts stay, exact at powers of two, and quantiles are within 2.8 %."""
    durations = DISTRIBUTIONS[name](random, 10_000)
    new = histogram_of(durations)
    old = Histogram.from_coarse(new.coarse(), new.sum_ns)
    assert (new.octave_counts(), new.coarse()) == (old.octave_counts(), old.coarse())
    for quantile in (0.01, 0.5, 0.99):
        exact = np.quantile(durations, quantile, method="inverted_cdf")
        assert old.quantile_ns(quantile) == pytest.approx(exact, rel=0.028)


def test_what_is_out_of_the_range_is_told_apart() -> None:
    """A quantile there is given as the edge, and how many there are is known."""
    histogram = histogram_of(np.array([0, 3, 2**50]))
    assert (2, 1, 3) == (histogram.below_range, histogram.above_range, histogram.count)
    assert (EDGES_NS[0], EDGES_NS[-1]) == (histogram.quantile_ns(0.5), histogram.quantile_ns(1))
    assert (0, 0) == (Histogram().below_range, Histogram().above_range)


def test_a_histogram_holds_the_octaves_that_it_needs() -> None:
    """Empty ones hold nothing; those of a version's usual times some kilobytes, whatever is merged in."""
    usual = histogram_of(np.array([2e6, 9e6]))
    total = merged([Histogram(), usual, Histogram(), histogram_of(np.array([3e6]))])
    assert (0, 4 * 64 * 8) == (Histogram().counts.nbytes, total.counts.nbytes)


@pytest.mark.toolchain
def test_quantiles_of_ten_million_values_are_within_what_is_stated() -> None:
    """Reports of some thousand values each, packed and merged, have quantiles within 0.55 %."""
    durations = np.random.default_rng(7).lognormal(15, 1.5, 10_000_000).astype(np.int64)
    total = Histogram()
    for part in np.array_split(durations, 2000):
        counted = histogram_of(part)
        total.merge(packed_histograms.unpack(*packed_histograms.pack(counted), counted.sum_ns))
    assert (len(durations), int(durations.sum())) == (total.count, total.sum_ns)
    for quantile in (0.001, 0.01, 0.5, 0.9, 0.99, 0.999, 0.9999):
        exact = np.quantile(durations, quantile, method="inverted_cdf")
        assert total.quantile_ns(quantile) == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-9)


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
        (2048, 64),
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
    assert 3 == Histogram.from_coarse({index: 3}, 0).count
