"""Messages about profiles as what the client hands out."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.client.answers import reading_an_answer
from headrace.client.profile_resources import (
    BinnedProfiles,
    DataProfiles,
    ProfiledAspect,
    ProfiledRows,
    ProfiledStep,
)
from headrace.client.resource_messages import gap_from_proto
from headrace.conversion import timestamp_from_proto
from headrace.conversion.data_profiles import layout_from_proto, profile_from_proto
from headrace.data_profiles.binning import limits_of
from headrace.data_profiles.float_bits import FIRST, INFINITE, MISSING
from headrace.data_profiles.layouts import Layout
from headrace.data_profiles.profiles import AspectKey
from headrace.monitor.v1 import profile_service_pb2 as pb
from headrace.type.v1 import profile_pb2


@reading_an_answer()
def profiles_from_proto(proto: pb.QueryProfilesResponse) -> DataProfiles:
    """What rows looked like. Raises Internal for an answer that makes no sense."""
    return DataProfiles(
        tuple(map(_binned, proto.profiles)),
        tuple(proto.slices),
        timestamp_from_proto(proto.start_time) if proto.HasField("start_time") else 0.0,
        timestamp_from_proto(proto.end_time),
        tuple(map(gap_from_proto, proto.gaps)),
    )


def _binned(proto: pb.BinnedProfiles) -> BinnedProfiles:
    layout = layout_from_proto(proto.layout)
    steps = [
        ProfiledStep(
            timestamp_from_proto(each.start_time),
            timestamp_from_proto(each.end_time),
            _rows(each.profile, layout),
        )
        for each in proto.steps
    ]
    return BinnedProfiles(layout.reference, _rows(proto.total, layout), tuple(steps))


def _rows(proto: profile_pb2.Profile, layout: Layout) -> ProfiledRows:
    return ProfiledRows(proto.rows, proto.seen_rows, tuple(_aspects(proto, layout)))


def _aspects(proto: profile_pb2.Profile, layout: Layout) -> Iterator[ProfiledAspect]:
    profile = profile_from_proto(proto, layout)
    for field in layout.fields:
        for aspect, bins in field.aspects.items():
            counts = profile.counts.get(AspectKey(field.name, aspect))
            if counts is not None:
                yield ProfiledAspect(
                    field.name,
                    aspect,
                    int(counts[MISSING]),
                    int(counts[INFINITE]),
                    tuple(limits_of(bins).tolist()),
                    bins.labels,
                    tuple(counts[FIRST:].tolist()),
                )
