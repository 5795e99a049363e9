"""Puts profiles of sampled rows into reports, every ten seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headrace.conversion.data_profiles import layout_to_proto, profile_to_proto
from headrace.data_profiles.layouts import Layout
from headrace.monitor.v1 import telemetry_pb2
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.sampling.row_profiles import ALL, RowProfiles, VersionProfile

INTERVAL_NS = 10_000_000_000
PHASE_NS = 8_000_000_000
"""Profiles end this long after a multiple of ten seconds: their report still ends in the same minute."""

LAYOUT_NS = 60_000_000_000
"""How long the monitor is taken to know the fields of a version, of which 256 may take 150 kB."""


class ProfileReports:
    """Makes messages of profiles, on the thread that looks at rows."""

    def __init__(
        self,
        profiles: RowProfiles,
        clock: Clock,
        add: Callable[[Sequence[telemetry_pb2.VersionProfile]], None],
    ) -> None:
        self._profiles, self._clock, self._add = profiles, clock, add
        self._interval = self._present()
        self._told: dict[tuple[str, int], tuple[Layout, int]] = {}
        """By version, the layout that was told last, and when."""

    def report_if_due(self) -> None:
        """Tell what was counted, if ten seconds are over."""
        if self._present() != self._interval:
            self.report()

    def report(self) -> None:
        """Tell what was counted since this was last called."""
        self._interval = self._present()
        messages = [self._message(profile) for profile in self._profiles.profiles()]
        if messages:
            self._add(messages)

    def _present(self) -> int:
        return (self._clock.wall_ns() - PHASE_NS) // INTERVAL_NS

    def _message(self, told: VersionProfile) -> telemetry_pb2.VersionProfile:
        message = telemetry_pb2.VersionProfile(
            model=told.key.model,
            version=told.key.version,
            slice=told.key.slice,
            profile=profile_to_proto(told.profile),
        )
        if told.key.slice == ALL and self._is_due(told):
            message.layout.CopyFrom(layout_to_proto(told.layout))
        return message

    def _is_due(self, told: VersionProfile) -> bool:
        """Tell whether the layout goes with a profile: from time to time, since a monitor may forget it."""
        key, now = (told.key.model, told.key.version), self._clock.monotonic_ns()
        known, since = self._told.get(key, (None, 0))
        if known is told.layout and now - since < LAYOUT_NS:
            return False
        self._told[key] = told.layout, now
        return True
