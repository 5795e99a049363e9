"""Tests of the book of profiles: exact sums, what is kept, and what a restart finds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.data_profiles.layouts import VALUE, Layout, Place
from headrace.data_profiles.profiles import AspectKey, Profile, ProfileKey
from headrace.data_profiles.profiling import RowProfiler
from headrace.data_profiles.tensor_fields import layout_of, tensor_fields
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.profiles.profile_book import ProfileBook
from headrace_monitor.domain.telemetry.known_layouts import KnownLayouts
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Report, VersionProfile

KEY = ProfileKey("m", 1)
LAYOUT = layout_of(tensor_fields(Place.INPUT, "x", 3, is_text=False, is_float=True))
NOW = 1_700_000_000 * NANOSECONDS
HOUR, DAY = 3600, 86_400


def profile(values: Sequence[float], layout: Layout = LAYOUT) -> Profile:
    rows = np.repeat(np.array(values, np.float32)[:, np.newaxis], 3, axis=1)
    profiler = RowProfiler(layout)
    tally = profiler.tally()
    tally.add(profiler.binned({(Place.INPUT, "x"): rows}, {}, len(rows)))
    return tally.profile(10 * len(rows))


def report(end_ns: int, *profiles: VersionProfile) -> Report:
    return Report("a", "boot", 1, end_ns - NANOSECONDS, end_ns, profiles=profiles)


def book(limit_bytes: int = 2**24) -> ProfileBook:
    return ProfileBook(KnownLayouts(), DAY, limit_bytes)


def moment(seconds: float = 0) -> Moment:
    return Moment(NOW + int(seconds * NANOSECONDS), NOW + int(seconds * NANOSECONDS))


def count(into: ProfileBook, seconds: float, values: Sequence[float], part: str = "") -> None:
    at = moment(seconds)
    told = VersionProfile(KEY._replace(slice=part), LAYOUT, profile(values))
    into.merge(report(at.now_ns, told), at)


def totals(found: ProfileBook, part: str = "", back: float = DAY) -> Profile:
    (binned,) = found.sums(
        KEY._replace(slice=part), NOW - int(back * NANOSECONDS), NOW + DAY * NANOSECONDS
    )
    return binned.total


def same(first: Profile, second: Profile) -> bool:
    return (first.rows, first.seen_rows) == (second.rows, second.seen_rows) and all(
        counts.tolist() == second.counts[key].tolist() for key, counts in first.counts.items()
    )


@given(st.permutations([[1.0, 2.0], [3.0], [-4.0, 0.0], [float("nan")], [1.0, 1e30]]))
@settings(max_examples=30, deadline=None)
def test_profiles_of_all_replicas_add_up_in_any_order(parts: list[list[float]]) -> None:
    """The sum over replicas and minutes is what one replica had counted of all rows."""
    kept = book()
    for place, values in enumerate(parts):
        count(kept, 25 * place, values)
    assert same(profile([value for part in parts for value in part]), totals(kept))


def test_minutes_are_steps_and_old_ones_are_put_together() -> None:
    """For two hours minutes are told apart; then ten of them are one, and nothing is lost."""
    kept = book()
    for minute in range(240):
        count(kept, 60 * minute, [1.0])
        kept.changes(moment(60 * minute))
        kept.mark_stored()
    (binned,) = kept.sums(KEY, NOW - DAY * NANOSECONDS, NOW + DAY * NANOSECONDS)
    assert 240 == binned.total.rows == sum(step.profile.rows for step in binned.steps)
    lengths = [(step.end_ns - step.start_ns) // NANOSECONDS for step in binned.steps]
    assert {600, 60} == set(lengths)
    assert lengths == sorted(lengths, reverse=True)
    assert 120 <= lengths.count(60) <= 122
    (hourly,) = kept.sums(KEY, NOW - DAY * NANOSECONDS, NOW + DAY * NANOSECONDS, HOUR * NANOSECONDS)
    assert 240 == sum(step.profile.rows for step in hourly.steps)
    assert len(hourly.steps) <= 6


def test_what_is_too_old_goes() -> None:
    """After a day in which the monitor ran, nothing is left of a version, nor of its fields."""
    kept = book()
    count(kept, 0, [1.0])
    stored = dict(kept.changes(moment(0)).entries)
    kept.mark_stored()
    for hours in (3, 25, 26):
        changes = kept.changes(moment(hours * HOUR))
        stored.update(changes.entries)
        for key in changes.gone:
            stored.pop(key, None)
        kept.mark_stored()
    assert {} == stored
    assert not kept.versions_and_slices()
    assert 0 == kept.size_bytes
    count(kept, 27 * HOUR, [1.0])
    assert 2 == len(kept.changes(moment(27 * HOUR)).entries)


def test_memory_is_bounded() -> None:
    """Over the limit the oldest windows go."""
    kept = book(limit_bytes=20_000)
    for minute in range(100):
        count(kept, 60 * minute, [1.0, 2.0, 3.0])
        kept.changes(moment(60 * minute))
        kept.mark_stored()
    assert kept.size_bytes <= 20_000
    (binned,) = kept.sums(KEY, 0, NOW + DAY * NANOSECONDS)
    assert 3 == binned.steps[-1].profile.rows
    assert NOW + 99 * 60 * NANOSECONDS <= binned.steps[-1].end_ns


def test_a_restart_finds_what_was_stored() -> None:
    """Sums and fields are as they were; what was damaged is left out."""
    kept = book()
    count(kept, 0, [1.0, float("inf")])
    count(kept, 70, [5.0], "header x-region=eu")
    entries = dict(kept.changes(moment(80)).entries)
    entries[b"w broken"] = b""
    again = book()
    again.restore(entries.items())
    assert same(totals(kept), totals(again))
    assert same(totals(kept, "header x-region=eu"), totals(again, "header x-region=eu"))
    count(again, 90, [2.0])
    assert same(profile([1.0, float("inf"), 2.0]), totals(again))


def test_other_bins_are_answered_apart() -> None:
    """A reference that comes within the window begins a sum of its own, the newest first."""
    kept = book()
    count(kept, 0, [1.0])
    later = Layout(LAYOUT.fields, "a digest")
    at = moment(120)
    told = VersionProfile(KEY, later, profile([2.0, 3.0], later))
    kept.merge(report(at.now_ns, told), at)
    found = kept.sums(KEY, 0, NOW + DAY * NANOSECONDS)
    assert [("a digest", 2), ("", 1)] == [
        (each.layout.reference, each.total.rows) for each in found
    ]


def test_counts_stay_whole_numbers() -> None:
    """Counts beyond what a float holds exactly are added exactly."""
    kept, large = book(), 2**53 + 1
    one = profile([1.0])
    counts = {key: found * large for key, found in one.counts.items()}
    at = moment()
    for _ in range(2):
        told = VersionProfile(KEY, LAYOUT, Profile("", large, large, counts))
        kept.merge(report(at.now_ns, told), at)
    found = totals(kept)
    assert 2 * large == found.rows == int(found.counts[AspectKey("input x[0]", VALUE)].sum())
