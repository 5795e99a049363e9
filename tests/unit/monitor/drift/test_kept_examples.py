"""Rows that replicas showed: which are kept, and which show what is off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.data_profiles.binning import count, places_of
from headrace.data_profiles.layouts import (
    VALUE,
    BinKind,
    Bins,
    FieldKind,
    FieldLayout,
    Layout,
    Place,
)
from headrace.data_profiles.profiles import AspectKey, ProfileKey
from headrace_monitor.domain.drift.baselines import baseline_of
from headrace_monitor.domain.drift.findings import Concern
from headrace_monitor.domain.drift.kept_examples import KEPT_ROWS, KeptExamples, bin_name
from headrace_monitor.domain.telemetry.row_example import RowExample

KEY = ProfileKey("houses", 1)
EDGES = Bins(BinKind.EDGES, (0.0, 1.0, 2.0, 3.0))
COLOURS = Bins(BinKind.LABELS, labels=("red", "blue"))
LAYOUT = Layout(
    (
        FieldLayout("input x", Place.INPUT, FieldKind.NUMBER, "x", -1, {VALUE: EDGES}),
        FieldLayout("input c", Place.INPUT, FieldKind.CATEGORY, "c", -1, {VALUE: COLOURS}),
    )
)
X, C = AspectKey("input x", VALUE), AspectKey("input c", VALUE)


def example(
    name: str, x: float, c: str = "red", values: str = "", slices: tuple[str, ...] = ()
) -> RowExample:
    """A row at the time that its name ends with."""
    bins = [*places_of(EDGES, np.array([x])), *places_of(COLOURS, np.array([c], object))]
    return RowExample(
        "houses",
        1,
        LAYOUT,
        name,
        0,
        int(name.rpartition("-")[2]),
        slices,
        np.array(bins, np.int32).tobytes(),
        values,
    )


def shown(kept: KeptExamples, now: Sequence[float], concern: Concern, part: str = "") -> list[str]:
    """The ids and values of rows that show what is off about x."""
    baseline = baseline_of(X, EDGES, count(EDGES, np.array([0.5, 1.5, 2.5] * 100)))
    current = baseline.grouped(count(EDGES, np.array(now)))
    key = KEY._replace(slice=part)
    found = kept.showing(key, LAYOUT, baseline, current, concern)
    return [f"{each.request_id}: {each.value}" for each in found]


def test_rows_of_what_grew_are_shown_the_newest_first() -> None:
    """Of a field that moved, of one gone missing, and of one out of its range; in a slice, too."""
    kept = KeptExamples()
    kept.take(
        [
            example("a-1", 0.5),
            example("b-2", 2.5, slices=("header r=eu",)),
            example("c-3", 2.6, values="2.6\nred"),
            example("d-4", np.nan),
            example("e-5", 9.0),
        ]
    )
    moved = [0.5] * 10 + [2.5] * 90
    assert ["c-3: 2.6", "b-2: 2 to 3"] == shown(kept, moved, Concern.DISTRIBUTION)
    assert ["b-2: 2 to 3"] == shown(kept, moved, Concern.DISTRIBUTION, "header r=eu")
    assert ["d-4: missing"] == shown(kept, [np.nan], Concern.MISSING)
    assert ["e-5: above 3"] == shown(kept, [9.0], Concern.OUT_OF_RANGE)


def test_rows_in_no_category_are_shown() -> None:
    """Those of labels are not."""
    kept = KeptExamples()
    kept.take([example("a-1", 0.5), example("b-2", 0.5, "green")])
    counts = count(COLOURS, np.array(["red", "blue"] * 50, object))
    baseline = baseline_of(C, COLOURS, counts)
    (found,) = kept.showing(KEY, LAYOUT, baseline, baseline.counts, Concern.NEW_CATEGORY)
    assert ("b-2", "none of the reference's") == (found.request_id, found.value)
    assert ["red", "blue"] == [bin_name(COLOURS, place) for place in (2, 3)]


def test_the_newest_are_kept_within_bounds() -> None:
    """So many of a version; over the bytes the versions go of which rows came longest ago."""
    kept = KeptExamples()
    kept.take([example(f"r-{at}", 9.0) for at in range(1, KEPT_ROWS + 11)])
    assert f"r-{KEPT_ROWS + 10}: above 3" == shown(kept, [9.0], Concern.OUT_OF_RANGE)[0]
    small = KeptExamples(max_bytes=1)
    small.take([example("a-1", 9.0)])
    other = example("b-2", 9.0)
    small.take([RowExample("other", 1, LAYOUT, "b-2", 0, 2, (), other.bins)])
    assert [] == shown(small, [9.0], Concern.OUT_OF_RANGE)


def test_rows_in_other_bins_are_not_shown() -> None:
    """A reference came since: what its bins say is not known of rows of before."""
    kept = KeptExamples()
    old = example("a-1", 9.0)
    other = Layout(LAYOUT.fields, "another")
    kept.take([RowExample("houses", 1, other, "a-1", 0, 1, (), old.bins)])
    assert [] == shown(kept, [9.0], Concern.OUT_OF_RANGE)
