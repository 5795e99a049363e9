"""Encoded tallies: the same numbers in fewer bytes."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.telemetry.histogram import MAX_COUNT, Histogram
from headrace.telemetry.measures import (
    BATCHES,
    COMPUTE_TIME,
    ERRORS,
    EXECUTIONS,
    FAILED_TIME,
    LOAD_TIME,
    QUEUE_TIME,
    ROUTES,
    ROW_CAPACITY,
    ROWS,
    SUCCESSES,
    TOTAL_TIME,
    Measure,
    Value,
)
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.tally import Tally, is_zero


def some_tally(seed: int) -> Tally:
    random = np.random.default_rng(seed)

    def durations() -> Histogram:
        histogram = Histogram()
        histogram.record(random.lognormal(14, 1, 200).astype(np.int64))
        return histogram

    known: dict[Measure[Value], Value] = {
        SUCCESSES: seed * 100,
        ROWS: seed * 250,
        EXECUTIONS: seed * 90,
        ERRORS: {"MODEL_NOT_FOUND": seed, 'odd "name"\n': 2},
        ROUTES: {"stable": 5, "canary": seed},
        BATCHES: {1: 10, 2 * seed: 3},
        **{measure: durations() for measure in (TOTAL_TIME, QUEUE_TIME, COMPUTE_TIME, FAILED_TIME)},
        ROW_CAPACITY: seed * 300,
    }
    if seed % 2:
        known[LOAD_TIME] = durations()
    unknown: dict[str, Value] = {
        "c:tokens": 7,
        "l:tenants": {"one": seed},
        "s:lengths": {seed: 4, 1000: 1},
        "h:first_token": durations(),
    }
    return Tally(known).plus(Tally.by_key(unknown))


def facts(tally: Tally) -> dict[str, object]:
    return {
        key: (value.sparse(), value.sum_ns) if isinstance(value, Histogram) else value
        for key, value in tally.items()
        if not is_zero(value)
    }


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
        expected = expected.plus(some_tally(seed))
    assert facts(expected) == facts(
        encoding.decode_sum(map(encoding.encode, map(some_tally, range(20))))
    )


def test_sums_may_outgrow_64_bits() -> None:
    """A sum of nanoseconds over years keeps its value."""
    tally = Tally({TOTAL_TIME: Histogram(sum_ns=2**70)})
    assert 2**70 == encoding.decode(encoding.encode(tally))[TOTAL_TIME].sum_ns


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


@pytest.mark.parametrize("count", [1, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, MAX_COUNT])
def test_counts_of_every_size_come_back(count: int) -> None:
    """Buckets take as many bytes as the fullest needs; tallies of different widths add up exactly."""
    small, large = Histogram(), Histogram()
    small.record_one(5_000)
    large.record_one(5_000, count)
    cells = [encoding.encode(Tally({TOTAL_TIME: each})) for each in (small, large, small)]
    total = encoding.decode_sum(cells)[TOTAL_TIME]
    assert min(count + 2, MAX_COUNT) == total.count


def test_a_tally_of_one_request_is_small() -> None:
    """What most windows of a quiet version hold has some hundred bytes."""
    one = Histogram()
    one.record_one(1_234_567)
    tally = Tally(
        {
            SUCCESSES: 1,
            ROWS: 1,
            EXECUTIONS: 1,
            ROUTES: {"stable": 1},
            BATCHES: {1: 1},
            TOTAL_TIME: one,
            QUEUE_TIME: one,
            COMPUTE_TIME: one,
            ROW_CAPACITY: 1,
        }
    )
    assert len(encoding.encode(tally)) < 140
