"""Profiles of reports from their messages; one that is wrong is left out, and all else is counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headrace.conversion.data_profiles import layout_from_proto, profile_from_proto
from headrace.data_profiles.layouts import Layout
from headrace.data_profiles.profiles import ProfileKey
from headrace.monitor.v1 import telemetry_pb2
from headrace_monitor.domain.telemetry.known_layouts import KnownLayouts, bins_of
from headrace_monitor.domain.telemetry.report import VersionProfile

MAX_NAME_LENGTH = 256
MAX_PROFILES = 1000
"""In one report."""

MAX_BINS = 2_000_000
"""Of one version: 16 MB while they are counted."""

MAX_ROWS = 2**48


def profiles_from_proto(
    protos: Iterable[telemetry_pb2.VersionProfile], layouts: KnownLayouts
) -> tuple[VersionProfile, ...]:
    """The profiles whose fields were told, now or before, and that are of these fields."""
    return tuple(_known(protos, layouts))


def _known(
    protos: Iterable[telemetry_pb2.VersionProfile], layouts: KnownLayouts
) -> Iterator[VersionProfile]:
    for _, proto in zip(range(MAX_PROFILES), protos, strict=False):
        layout = _layout(proto, layouts)
        profile = proto.profile
        is_counted = 0 <= profile.rows <= MAX_ROWS and 0 <= profile.seen_rows <= MAX_ROWS
        if layout is None or not is_counted or not _is_named(proto):
            layouts.unknown += 1
            continue
        key = ProfileKey(proto.model, proto.version, proto.slice)
        try:
            yield VersionProfile(key, layout, profile_from_proto(profile, layout))
        except ValueError:  # counts in other bins: of a replica that knows fields otherwise
            layouts.unknown += 1


def _is_named(proto: telemetry_pb2.VersionProfile) -> bool:
    names = len(proto.model), len(proto.slice)
    return 0 < names[0] and max(names) <= MAX_NAME_LENGTH and proto.version > 0


def _layout(proto: telemetry_pb2.VersionProfile, layouts: KnownLayouts) -> Layout | None:
    if not proto.HasField("layout"):
        return layouts.find(proto.model, proto.version, proto.profile.reference)
    layout = layout_from_proto(proto.layout)
    if layout.reference != proto.profile.reference or bins_of(layout) > MAX_BINS:
        return None
    return layouts.told(proto.model, proto.version, layout)
