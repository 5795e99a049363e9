"""The book of profiles: takes those of reports, keeps their sums, and answers what is asked of them."""

from __future__ import annotations

import json
import logging
import struct
import threading
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from headrace.data_profiles.layouts import Layout
from headrace.data_profiles.profiles import Profile, ProfileKey
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ingestion.books import BookChanges
from headrace_monitor.domain.profiles import summed_profiles
from headrace_monitor.domain.profiles.layout_index import LayoutIndex, layout_from_text
from headrace_monitor.domain.profiles.profile_windows import ProfileWindows, WindowId
from headrace_monitor.domain.profiles.summed_profiles import Sum
from headrace_monitor.domain.telemetry.known_layouts import KnownLayouts
from headrace_monitor.domain.telemetry.report import Report, VersionProfile

logger = logging.getLogger(__name__)

MAX_KEYS = 10_000
"""Versions and slices that are told apart at a time; profiles of others are left out, and counted."""

_WINDOW, _LAYOUT = b"w", b"l"
_UNREADABLE = (ValueError, KeyError, TypeError, IndexError, struct.error, zlib.error)


@dataclass(frozen=True, slots=True)
class ProfileStep:
    """Rows of some time."""

    start_ns: int
    end_ns: int
    profile: Profile


@dataclass(frozen=True, slots=True)
class ProfilesInBins:
    """What was asked for, in the bins of one layout: in steps of time, oldest first, and added up."""

    layout: Layout
    total: Profile
    steps: Sequence[ProfileStep]


class ProfileBook:
    """Sums of profiles by version, slice and minute. Questions may come from any thread."""

    name = "profiles"

    def __init__(self, layouts: KnownLayouts, kept_seconds: int, limit_bytes: int) -> None:
        self._layouts = layouts
        self._lock = threading.Lock()
        self._windows = ProfileWindows(kept_seconds, limit_bytes)
        self._indexes: dict[str, LayoutIndex] = {}
        self._by_identity: dict[int, LayoutIndex] = {}
        self._owners: dict[str, tuple[str, int]] = {}
        """By layout, the version that it is of."""
        self._changed_layouts: set[str] = set()
        self._gone_layouts: set[str] = set()
        self.left_out = 0
        """Profiles for which there was no room."""

    @property
    def size_bytes(self) -> int:
        """The memory that the sums take."""
        return self._windows.size_bytes

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take up what was stored; what cannot be read is left out."""
        windows: list[tuple[WindowId, Sum]] = []
        for key, value in entries:
            try:
                if key[:1] == _LAYOUT:
                    self._restore_layout(key, value)
                else:
                    windows.append((_window_of(key), summed_profiles.from_bytes(value)))
            except _UNREADABLE:
                logger.warning("a stored profile cannot be read", extra={"entry": key})
        self._windows.restore(one for one in windows if one[0].layout in self._indexes)

    def _restore_layout(self, key: bytes, value: bytes) -> None:
        model, version = json.loads(key[1:])[:2]
        index = LayoutIndex(
            self._layouts.told(model, version, layout_from_text(zlib.decompress(value)))
        )
        self._indexes[index.id] = index
        self._owners[index.id] = model, version

    def merge(self, report: Report, moment: Moment) -> None:
        """Add up the profiles of a report."""
        for told in report.profiles:
            of_key = self._windows.of_key
            if told.key not in of_key and len(of_key) >= MAX_KEYS:
                self.left_out += 1
                continue
            index = self._index(told)
            profile = told.profile
            filled = index.filled(profile)
            more = Sum(profile.rows, profile.seen_rows, moment.steady_ns, filled)
            with self._lock:
                self._windows.add(told.key, index.id, report.end_ns, more)

    def _index(self, told: VersionProfile) -> LayoutIndex:
        known = self._by_identity.get(id(told.layout))
        if known is not None and known.layout is told.layout and known.id in self._owners:
            return known
        index = LayoutIndex(told.layout)
        index = self._indexes.setdefault(index.id, index)
        index.layout = told.layout
        if len(self._by_identity) >= MAX_KEYS:
            self._by_identity.clear()
        self._by_identity[id(told.layout)] = index
        if index.id not in self._owners or index.id in self._gone_layouts:
            self._owners[index.id] = told.key.model, told.key.version
            self._changed_layouts.add(index.id)
            self._gone_layouts.discard(index.id)
        return index

    def changes(self, moment: Moment) -> BookChanges:
        """Drop what is too old, and give all that differs from what is stored."""
        with self._lock:
            self._windows.prune(moment)
        unused = [name for name, count in self._windows.of_layout.items() if not count]
        self._gone_layouts.update(unused)
        self._changed_layouts.difference_update(unused)
        entries = {
            _window_key(window): summed_profiles.to_bytes(summed)
            for window in self._windows.changed
            if (summed := self._windows.get(window)) is not None
        }
        for name in self._changed_layouts:
            entries[self._layout_key(name)] = zlib.compress(self._indexes[name].text)
        gone = [_window_key(window) for window in self._windows.gone]
        return BookChanges(entries, [*gone, *map(self._layout_key, self._gone_layouts)])

    def mark_stored(self) -> None:
        """All that `changes` gave is stored."""
        self._windows.changed, self._windows.gone = set(), set()
        self._changed_layouts = set()
        for name in self._gone_layouts:
            self._indexes.pop(name, None)
            self._owners.pop(name, None)
            del self._windows.of_layout[name]
        self._gone_layouts = set()

    def _layout_key(self, name: str) -> bytes:
        return _LAYOUT + json.dumps([*self._owners[name], name]).encode()

    # What follows may be called from any thread.

    def versions_and_slices(self) -> Collection[ProfileKey]:
        """The versions and slices of which there are profiles."""
        with self._lock:
            return list(self._windows.of_key)

    def sums(
        self, key: ProfileKey, start_ns: int, end_ns: int, step_ns: int = 0
    ) -> Sequence[ProfilesInBins]:
        """What was counted in windows that overlap (start, end], by layout, the newest first.

        With a step, in steps of so much time (and a window at least), else as the windows are.
        """
        with self._lock:
            found = [
                (window, summed)
                for window in self._windows.of_key.get(key, ())
                if window.start_ns < end_ns
                and window.end_ns > start_ns
                and (summed := self._windows.get(window)) is not None
            ]
        by_layout: dict[str, list[tuple[WindowId, Sum]]] = {}
        for window, summed in sorted(found, key=lambda item: item[0].start_ns, reverse=True):
            by_layout.setdefault(window.layout, []).append((window, summed))
        return [
            _in_bins(index, windows[::-1], step_ns)
            for name, windows in by_layout.items()
            if (index := self._indexes.get(name)) is not None
        ]


def _in_bins(
    index: LayoutIndex, windows: Sequence[tuple[WindowId, Sum]], step_ns: int
) -> ProfilesInBins:
    steps: Mapping[tuple[int, int], list[Sum]] = _steps(windows, step_ns)
    whole = summed_profiles.total([summed for _, summed in windows])
    return ProfilesInBins(
        index.layout,
        _profile(index, whole),
        [
            ProfileStep(start, end, _profile(index, summed_profiles.total(sums)))
            for (start, end), sums in steps.items()
        ],
    )


def _steps(
    windows: Iterable[tuple[WindowId, Sum]], step_ns: int
) -> dict[tuple[int, int], list[Sum]]:
    steps: dict[tuple[int, int], list[Sum]] = {}
    for window, summed in windows:
        start, end = window.start_ns, window.end_ns
        if step_ns > end - start:
            start = start // step_ns * step_ns
            end = start + step_ns
        steps.setdefault((start, end), []).append(summed)
    return steps


def _profile(index: LayoutIndex, summed: Sum) -> Profile:
    return index.profile(summed.rows, summed.seen_rows, summed.filled)


def _window_key(window: WindowId) -> bytes:
    return _WINDOW + json.dumps([*window.key, *window[1:]]).encode()


def _window_of(key: bytes) -> WindowId:
    if key[:1] != _WINDOW:
        raise ValueError("no window")
    model, version, part, layout, seconds, start = json.loads(key[1:])
    return WindowId(ProfileKey(model, version, part), layout, seconds, start)
