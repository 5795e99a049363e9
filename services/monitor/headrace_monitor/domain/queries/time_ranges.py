"""Chooses the windows that answer a question: pure arithmetic over resolutions.

Questions are about (start, end]. A time range is what the kept windows can tell of it: its start is rounded
down to a window's, its end up, but never beyond the present.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace_monitor.domain.ledger.windows import Resolution
from headrace_monitor.domain.telemetry.report import NANOSECONDS

MAX_STEPS = 1000
DEFAULT_STEPS = 60
WINDOWS_IN_A_RANGE = 60
"""A time range is cut from at least so many windows where they are kept: its start is at most 1/60 off."""

Floors = Mapping[int, int]
"""By resolution, where windows begin that are all there, in seconds."""

_ALL_THERE: Floors = {}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The windows of `resolution` seconds that start at `first` to `last`, and the time they tell of."""

    resolution: int
    first: int
    last: int
    start_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """Its length; above 0, so that rates can be taken."""
        return max(self.end_ns - self.start_ns, 1) / NANOSECONDS


def time_range_of(resolution: Resolution, start_ns: int, end_ns: int, now_ns: int) -> TimeRange:
    """The time range of a resolution's windows that covers (start, end]."""
    first = resolution.window_of(start_ns + 1)
    last = resolution.window_of(end_ns)
    last_end_ns = (last + resolution.seconds) * NANOSECONDS
    return TimeRange(
        resolution.seconds, first, last, first * NANOSECONDS, max(end_ns, min(last_end_ns, now_ns))
    )


def for_window(
    kept: tuple[Resolution, ...],
    start_ns: int,
    end_ns: int,
    now_ns: int,
    floors: Floors = _ALL_THERE,
) -> Resolution:
    """The coarsest resolution that cuts (start, end] finely enough, or the next that goes back so far.

    `floors` are where windows begin that are all there: finer ones may have been dropped early.
    """
    enough = (end_ns - start_ns) // (WINDOWS_IN_A_RANGE * NANOSECONDS)
    fine = [resolution for resolution in kept if resolution.seconds <= enough] or [kept[0]]
    return next(
        (
            resolution
            for resolution in kept
            if resolution.seconds >= fine[-1].seconds
            and _reaches(resolution, start_ns, now_ns, floors)
        ),
        kept[-1],
    )


def steps_of(
    kept: tuple[Resolution, ...],
    start_ns: int,
    end_ns: int,
    step_ns: int,
    now_ns: int,
    floors: Floors = _ALL_THERE,
) -> list[TimeRange]:
    """(start, end] in steps of `step_ns` (0: a sixtieth of it), whole multiples of a kept resolution.

    Steps begin at multiples of their length, so the same question a moment later has the same steps; the
    last one is as short as the end makes it.
    """
    step_seconds = _step_seconds(end_ns - start_ns, step_ns)
    resolution = _for_step(kept, step_seconds, start_ns, now_ns, floors)
    step_seconds = _ceil_to(step_seconds, resolution.seconds)
    length_ns = step_seconds * NANOSECONDS
    starts = range(start_ns // length_ns * length_ns, end_ns, length_ns)
    return [
        time_range_of(resolution, start, min(start + length_ns, end_ns), now_ns) for start in starts
    ]


def _step_seconds(window_ns: int, step_ns: int) -> int:
    wanted_ns = step_ns or window_ns // DEFAULT_STEPS
    # two less: a window that begins and ends inside a step touches one step more
    shortest_ns = window_ns // (MAX_STEPS - 2)
    return max(1, -(-max(wanted_ns, shortest_ns) // NANOSECONDS))


def _for_step(
    kept: tuple[Resolution, ...], step_seconds: int, start_ns: int, now_ns: int, floors: Floors
) -> Resolution:
    reaching = [resolution for resolution in kept if _reaches(resolution, start_ns, now_ns, floors)]
    exact = [resolution for resolution in reaching if step_seconds % resolution.seconds == 0]
    return exact[-1] if exact else (reaching or [kept[-1]])[0]


def _reaches(resolution: Resolution, start_ns: int, now_ns: int, floors: Floors) -> bool:
    if start_ns < floors.get(resolution.seconds, 0) * NANOSECONDS:
        return False
    return start_ns >= now_ns - resolution.kept_seconds * NANOSECONDS


def _ceil_to(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
