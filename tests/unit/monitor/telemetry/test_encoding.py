"""Encoded tallies: the same numbers in fewer bytes."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.histogram import Histogram
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.report import Tally


def some_tally(seed: int) -> Tally:
    random = np.random.default_rng(seed)
    tally = Tally(
        success_count=seed * 100,
        row_count=seed * 250,
        execution_count=seed * 90,
        error_counts={"MODEL_NOT_FOUND": seed, 'odd "name"\n': 2},
        route_counts={"stable": 5, "canary": seed},
        batch_counts={1: 10, 2 * seed: 3},
    )
    for histogram in (tally.total, tally.queue, tally.compute, tally.failed):
        histogram.record(random.lognormal(14, 1, 200).astype(np.int64))
    return tally


def facts(tally: Tally) -> list[object]:
    numbers: list[object] = [tally.success_count, tally.row_count, tally.execution_count]
    maps: list[object] = [tally.error_counts, tally.route_counts, tally.batch_counts]
    histograms = (tally.total, tally.queue, tally.compute, tally.failed)
    return numbers + maps + [(each.sparse(), each.sum_ns) for each in histograms]


@pytest.mark.parametrize("seed", range(5))
def test_what_was_packed_comes_back(seed: int) -> None:
    """Unpacking gives the tally that was encoded."""
    assert facts(some_tally(seed)) == facts(encoding.decode(encoding.encode(some_tally(seed))))


def test_an_empty_tally_is_small() -> None:
    """A tally of nothing takes less than 100 bytes."""
    encoded = encoding.encode(Tally())
    assert facts(Tally()) == facts(encoding.decode(encoded))
    assert len(encoded) < 100


def test_the_sum_of_packed_tallies_is_that_of_the_tallies() -> None:
    """Adding up encoded tallies gives what adding them one by one gives."""
    expected = Tally()
    for seed in range(20):
        expected.add(some_tally(seed))
    assert facts(expected) == facts(
        encoding.decode_sum(map(encoding.encode, map(some_tally, range(20))))
    )


def test_what_was_packed_before_errors_had_a_latency_is_read() -> None:
    """Its three sums are those of the histograms that there were."""
    tally = some_tally(3)
    tally.failed = Histogram()
    encoded = encoding.encode(tally)
    assert b",0]" in encoded
    former = encoded.replace(b",0]", b"]", 1)
    assert facts(tally) == facts(encoding.decode(former))


def test_sums_may_outgrow_64_bits() -> None:
    """A sum of nanoseconds over years keeps its value."""
    tally = Tally()
    tally.total.sum_ns = 2**70
    assert 2**70 == encoding.decode(encoding.encode(tally)).total.sum_ns


def test_every_damaged_byte_is_noticed() -> None:
    """Whichever byte changes, or wherever it is cut, a encoded tally is no longer intact."""
    encoded = encoding.encode(some_tally(1))
    damaged = [
        encoded[:place] + bytes([encoded[place] ^ 0x20]) + encoded[place + 1 :]
        for place in range(len(encoded))
    ]
    cut = [encoded[:length] for length in range(len(encoded))]
    assert encoding.is_intact(encoded)
    assert not any(map(encoding.is_intact, damaged + cut))
