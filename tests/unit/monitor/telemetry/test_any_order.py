"""Tallies add up to the same in any order, however many at a time, as reports and as sums."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.telemetry.histogram import BUCKET_COUNT, Histogram
from headrace.telemetry.measures import Value
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.encoding import PackedHistogram
from headrace_monitor.domain.telemetry.tally import Tally

LARGEST = 2**48
COUNTS = st.sampled_from([1, 255, 256, 2**32, LARGEST]) | st.integers(1, 1000)
BUCKETS = st.dictionaries(st.integers(0, BUCKET_COUNT - 1), COUNTS, max_size=6)
COARSE = st.dictionaries(st.integers(0, 480), COUNTS, max_size=6)
HISTOGRAMS = st.builds(Histogram.from_sparse, BUCKETS, COUNTS) | st.builds(
    Histogram.from_coarse, COARSE, COUNTS
)
VALUES: st.SearchStrategy[dict[str, Value]] = st.fixed_dictionaries(
    {},
    optional={
        "c:success_count": COUNTS,
        "l:error_counts": st.dictionaries(st.sampled_from("abc"), COUNTS, min_size=1),
        "s:batch_counts": st.dictionaries(st.integers(0, 5), COUNTS, min_size=1),
        "h:total": HISTOGRAMS,
        "h:queue": HISTOGRAMS,
        "h:unknown": HISTOGRAMS,
    },
)


def as_sent(values: dict[str, Value], widest: bool) -> bytes:
    """Encode a tally as a replica sends it: packed, in counts of the least bytes or of eight."""
    histograms = {
        encoding.short_key(key): packed(value, widest)
        for key, value in values.items()
        if isinstance(value, Histogram)
    }
    others = {
        encoding.short_key(key): value
        for key, value in values.items()
        if not isinstance(value, Histogram)
    }
    return encoding.encode_packed(others, histograms)[0]


def packed(histogram: Histogram, widest: bool) -> PackedHistogram:
    counts = histogram.sparse()
    most = max(counts.values(), default=0)
    width = 8 if widest else next(each for each in (1, 2, 4, 8) if most < 1 << 8 * each)
    return PackedHistogram(
        b"".join(index.to_bytes(2, "little") for index in counts),
        b"".join(count.to_bytes(width, "little") for count in counts.values()),
        histogram.sum_ns,
        width,
    )


def facts(tally: Tally) -> dict[str, object]:
    return {
        key: (value.sparse(), value.sum_ns) if isinstance(value, Histogram) else value
        for key, value in tally.items()
    }


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(VALUES, st.booleans()), min_size=1, max_size=6), st.data())
def test_tallies_add_up_to_the_same_in_any_order(
    tallies: list[tuple[dict[str, Value], bool]], data: st.DataObject
) -> None:
    expected = Tally()
    for values, _ in tallies:
        expected = expected.plus(Tally.by_key(dict(values)))
    cells = data.draw(st.permutations([as_sent(*each) for each in tallies]))
    while len(cells) > 1:  # some of them together, then the sum with others
        together = data.draw(st.integers(2, len(cells)))
        cells = [*cells[together:], encoding.sum_of(cells[:together])]
    assert encoding.is_intact(cells[0])
    assert nonzero(facts(expected)) == nonzero(facts(encoding.decode(cells[0])))


def nonzero(found: dict[str, object]) -> dict[str, object]:
    """Without histograms that counted nothing, which an encoded tally may leave out."""
    return {key: value for key, value in found.items() if value != ({}, 0)}
