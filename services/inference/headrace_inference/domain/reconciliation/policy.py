"""Decides a replica's next action on its versions: desired and actual in, one action out.

Stateless: the same versions and the same time give the same answer. Loading comes before unloading, a
version that still answers for one that is not ready is not unloaded, and no load goes on that nobody wants
any more.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headrace.state.desired import Key


class VersionState(enum.Enum):
    """The state of a version here."""

    ABSENT = enum.auto()
    LOADING = enum.auto()
    READY = enum.auto()
    UNLOADING = enum.auto()
    FAILED = enum.auto()


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version as the policy sees it.

    `rank` orders loading: the lower the sooner; None where nobody wants the version. `answers` says that
    the route or an alias leads requests to it. `retry_at` is when a failed load may be tried again, in
    seconds of the clock that `now` is read from; None: never. `quick` says that a load takes moments, and
    `yielded` that one under way takes nobody's place any more.
    """

    key: Key
    actual: VersionState
    rank: int | None
    answers: bool = False
    retry_at: float | None = None
    quick: bool = False
    yielded: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Fetch, open and warm this version."""

    key: Key


@dataclass(frozen=True, slots=True)
class Unload:
    """Take this version out of the table, drain it, close it."""

    key: Key


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop what is known of a version that failed and is wanted no more."""

    key: Key


@dataclass(frozen=True, slots=True)
class Abandon:
    """End the load of a version that is wanted no more."""

    key: Key


Action = Load | Unload | Forget | Abandon


def next_action(
    views: Sequence[VersionView], now: float, max_loading: int, max_quick: int = 1
) -> Action | None:
    """The one thing to do now; None if there is nothing.

    `max_loading` versions are loaded at a time, and beside them `max_quick` of those that take moments.
    """
    for view in views:
        if view.rank is None and view.actual is VersionState.FAILED:
            return Forget(view.key)
        if view.rank is None and view.actual is VersionState.LOADING:
            return Abandon(view.key)
    load = _next_load(views, now, max_loading, max_quick)
    return load if load is not None else _next_unload(views)


def next_retry(views: Iterable[VersionView]) -> float | None:
    """Return when the earliest failed load may be tried again; None if none will be."""
    times = [
        view.retry_at
        for view in views
        if view.rank is not None
        and view.actual is VersionState.FAILED
        and view.retry_at is not None
    ]
    return min(times, default=None)


def _next_load(
    views: Sequence[VersionView], now: float, max_loading: int, max_quick: int
) -> Load | None:
    counted = [
        view.quick for view in views if view.actual is VersionState.LOADING and not view.yielded
    ]
    quick = sum(counted)
    may_begin = {True: quick < max_quick, False: len(counted) - quick < max_loading}
    candidates = [
        (view.rank, view.key)
        for view in views
        if view.rank is not None and may_begin[view.quick] and _may_load(view, now)
    ]
    return Load(min(candidates)[1]) if candidates else None


def _may_load(view: VersionView, now: float) -> bool:
    if view.actual is VersionState.FAILED:
        return view.retry_at is not None and view.retry_at <= now
    return view.actual is VersionState.ABSENT


def _next_unload(views: Sequence[VersionView]) -> Unload | None:
    for view in views:
        if view.rank is None and view.actual is VersionState.READY and not view.answers:
            return Unload(view.key)
    return None
