"""Subjects as bytes: what the book stores, and reads after a restart."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from headrace.data_profiles.layouts import Layout
from headrace.data_profiles.profiles import AspectKey, ProfileKey
from headrace_monitor.domain.drift.baselines import Baseline
from headrace_monitor.domain.drift.findings import Finding, ReferenceSource
from headrace_monitor.domain.drift.learning import FirstRows, UsedBins
from headrace_monitor.domain.drift.panel import Panel
from headrace_monitor.domain.drift.subject import Subject

FORMAT = b"1"

_LEVEL = 1
"""Most of it is zeros, which the fastest compression finds."""

NewPanel = Callable[[ProfileKey, int, Sequence[Baseline]], Panel]


@dataclass(frozen=True, slots=True)
class _Baseline:
    key: AspectKey
    groups: bytes
    counts: bytes
    values: bytes | None
    limits: tuple[float, ...]
    labels: tuple[str, ...]
    source: ReferenceSource
    origin: str


@dataclass(frozen=True, slots=True)
class _UsedBins:
    key: AspectKey
    places: bytes
    counts: bytes
    size: int


@dataclass(frozen=True, slots=True)
class _FirstRows:
    began_ns: int
    rows: int
    aspects: list[_UsedBins]


@dataclass(frozen=True, slots=True)
class _Panel:
    baselines: list[_Baseline]
    wealth: bytes
    began: bytes
    recent: bytes
    recent_starts: bytes
    open: list[Finding]
    closed: list[Finding]


@dataclass(frozen=True, slots=True)
class _Subject:
    key: ProfileKey
    order: int
    layout: Layout
    first: _FirstRows | None
    panel: _Panel | None
    compared_rows: int
    seen_ns: int
    is_reset: bool


def key_bytes(key: ProfileKey) -> bytes:
    """The key of a subject's entry."""
    return "\0".join((key.model, str(key.version), key.slice)).encode()


def subject_to_bytes(subject: Subject) -> bytes:
    """All of a subject but for the rows that were not looked at yet."""
    stored = _Subject(
        subject.key,
        subject.order,
        subject.layout,
        _first_out(subject.first) if subject.first else None,
        _panel_out(subject.panel) if subject.panel else None,
        subject.compared_rows,
        subject.seen_ns,
        subject.is_reset,
    )
    return FORMAT + zlib.compress(msgspec.msgpack.encode(stored), _LEVEL)


def subject_from_bytes(content: bytes, new_panel: NewPanel) -> Subject | None:
    """The subject, or None where it was written by other code than this."""
    if content[:1] != FORMAT:
        return None
    try:
        stored = msgspec.msgpack.decode(zlib.decompress(content[1:]), type=_Subject)
        panel = _panel_in(stored, new_panel) if stored.panel else None
    except (msgspec.MsgspecError, ValueError, zlib.error):
        return None
    return Subject(
        stored.key,
        stored.order,
        stored.layout,
        _first_in(stored.first) if stored.first else None,
        panel,
        stored.compared_rows,
        stored.seen_ns,
        stored.is_reset,
    )


def _first_out(first: FirstRows) -> _FirstRows:
    aspects = [
        _UsedBins(key, used.places.tobytes(), used.counts.tobytes(), used.size)
        for key, used in first.aspects.items()
    ]
    return _FirstRows(first.began_ns, first.rows, aspects)


def _first_in(first: _FirstRows) -> FirstRows:
    aspects = {
        each.key: UsedBins(_ints(each.places), _ints(each.counts), each.size)
        for each in first.aspects
    }
    return FirstRows(first.began_ns, first.rows, aspects)


def _panel_out(panel: Panel) -> _Panel:
    return _Panel(
        [_baseline_out(each) for each in panel.baselines],
        panel.wealth.tobytes(),
        panel.began.tobytes(),
        panel.recent.counts.tobytes(),
        panel.recent.starts.tobytes(),
        list(panel.open.values()),
        panel.closed,
    )


def _panel_in(stored: _Subject, new_panel: NewPanel) -> Panel:
    """Raises ValueError where the tests are others now, as after an upgrade."""
    assert stored.panel is not None
    panel = new_panel(stored.key, stored.order, [_baseline_in(b) for b in stored.panel.baselines])
    shape = panel.wealth.shape
    panel.wealth = np.frombuffer(stored.panel.wealth, np.float32).reshape(shape).copy()
    panel.began = np.frombuffer(stored.panel.began, np.int32).reshape(shape).copy()
    counts, starts = panel.recent.counts.shape, panel.recent.starts.shape
    panel.recent.restore(
        _ints(stored.panel.recent).reshape(counts),
        _ints(stored.panel.recent_starts).reshape(starts),
    )
    panel.open = {
        (AspectKey(each.field, each.aspect), each.concern): each for each in stored.panel.open
    }
    panel.closed = stored.panel.closed
    return panel


def _baseline_out(baseline: Baseline) -> _Baseline:
    values = None if baseline.values is None else baseline.values.tobytes()
    return _Baseline(
        baseline.key,
        baseline.groups.tobytes(),
        baseline.counts.tobytes(),
        values,
        baseline.limits,
        baseline.labels,
        baseline.source,
        baseline.origin,
    )


def _baseline_in(stored: _Baseline) -> Baseline:
    values = None if stored.values is None else np.frombuffer(stored.values, np.float64)
    return Baseline(
        stored.key,
        _ints(stored.groups),
        _ints(stored.counts),
        values,
        stored.limits,
        stored.labels,
        stored.source,
        stored.origin,
    )


def _ints(content: bytes) -> npt.NDArray[np.int64]:
    return np.frombuffer(content, np.int64).copy()
