"""Tests of the profiles that a replica makes of sampled rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.data_profiles.layouts import (
    VALUE,
    BinKind,
    Bins,
    FieldKind,
    FieldLayout,
    Layout,
    Place,
)
from headrace.data_profiles.profiles import AspectKey, Profile
from headrace.data_profiles.references import Reference, Source
from headrace.monitor.v1 import telemetry_pb2
from headrace.state.records import VersionRecord
from headrace_inference.adapters.profile_reports import ProfileReports
from headrace_inference.domain.sampling.row_profiles import RowProfiles, VersionProfile
from headrace_inference.domain.sampling.rows import SampledRequest, SampledRows
from tests.unit.inference.doubles import FakeClock, version


def rows(
    values: Sequence[float], slices: Sequence[str] = (), record: VersionRecord | None = None
) -> SampledRows:
    """Rows of the doubling version: two columns in, two columns and a number out."""
    inputs = np.repeat(np.array(values, np.float32)[:, np.newaxis], 2, axis=1)
    request = SampledRequest(slices=tuple(slices))
    return SampledRows(
        record or version(),
        0,
        [request] * len(values),
        list(range(len(values))),
        (inputs,),
        (inputs * 2, np.arange(len(values))),
    )


def told(profiles: RowProfiles) -> dict[str, VersionProfile]:
    return {found.key.slice: found for found in profiles.profiles()}


def test_rows_are_profiled_by_version_and_slice() -> None:
    """All rows are in the profile of all, those of a slice in its own; what it was of is reckoned."""
    profiles = RowProfiles()
    profiles.take(rows([1.0, 2.0], ["header x-region=eu"]))
    profiles.take(rows([4.0, 4.0]))
    profiles.seen(version(), 400)
    found = told(profiles)
    assert {"", "header x-region=eu"} == set(found)
    assert (4, 400) == (found[""].profile.rows, found[""].profile.seen_rows)
    of_slice = found["header x-region=eu"].profile
    assert (2, 200) == (of_slice.rows, of_slice.seen_rows)
    names = [field.name for field in found[""].layout.fields]
    assert ["input x[0]", "input x[1]", "output y[0]", "output y[1]", "output n"] == names
    assert not profiles.profiles()


class OneReference:
    """Knows one reference, once it is there."""

    def __init__(self) -> None:
        self.reference: Reference | None = None

    def reference_of(self, record: VersionRecord) -> Reference | None:
        return self.reference


def test_a_reference_that_comes_later_brings_its_bins() -> None:
    """What was counted before is told in the bins of floats, and what comes then in the reference's."""
    references = OneReference()
    profiles = RowProfiles(references)
    profiles.take(rows([1.0]))
    profiles.seen(version(), 1)
    bins = Bins(BinKind.EDGES, edges=(0.0, 1.0, 2.0))
    field = FieldLayout("input x[1]", Place.INPUT, FieldKind.NUMBER, "x", 1, {VALUE: bins})
    layout = Layout((field,), "a digest")
    references.reference = Reference(Source.SAMPLES, layout, Profile("a digest"))
    assert "" == told(profiles)[""].profile.reference
    profiles.take(rows([1.5, 3.0]))
    profiles.seen(version(), 2)
    found = told(profiles)[""]
    assert "a digest" == found.profile.reference
    assert [0, 0, 0, 0, 1, 1] == found.profile.counts[AspectKey("input x[1]", VALUE)].tolist()


def test_a_version_that_takes_the_number_of_another_begins_anew() -> None:
    """Rows of two versions are never in one profile."""
    profiles = RowProfiles()
    profiles.take(rows([1.0]))
    profiles.seen(version(), 1)
    other = VersionRecord(
        "m", 1, "another", (), "model.onnx", version().signature, version().config, 0.0
    )
    profiles.take(rows([2.0, 3.0], record=other))
    profiles.seen(other, 2)
    assert [1, 2] == [found.profile.rows for found in profiles.profiles()]


def test_tensors_of_other_shapes_are_looked_at_apart() -> None:
    """Requests of one version may have rows of different lengths."""
    profiles = RowProfiles()
    wide = SampledRows(
        version(), 0, [SampledRequest()], [0], (np.ones((1, 3), np.float32),), (None, None)
    )
    profiles.take(rows([1.0]))
    profiles.take(wide)
    profiles.seen(version(), 2)
    found = told(profiles)[""].profile
    assert 2 == found.counts[AspectKey("input x[0]", VALUE)].sum()
    assert 1 == found.counts[AspectKey("output n", VALUE)][0]


def test_profiles_are_told_every_ten_seconds_with_their_layout_now_and_then() -> None:
    """The fields are told with the first profile and once a minute; counts each time, none where idle."""
    clock, profiles = FakeClock(), RowProfiles()
    messages: list[telemetry_pb2.VersionProfile] = []
    reports = ProfileReports(profiles, clock, messages.extend)
    for _ in range(8):
        profiles.take(rows([1.0]))
        profiles.seen(version(), 1)
        clock.advance(5)
        reports.report_if_due()
        clock.advance(5)
        reports.report_if_due()
    assert [1] * 8 == [message.profile.rows for message in messages]
    assert [True, *[False] * 5, True, False] == [message.HasField("layout") for message in messages]
    clock.advance(10)
    reports.report_if_due()
    assert 8 == len(messages)
