"""Measures how far replicas' clocks are off, and corrects the times of their reports by that.

Each message says when it was sent, by the replica's clock. What it took to arrive makes that clock look
late, never early: so the least late of the last messages is nearest to the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.telemetry.prediction import ToldPredictions
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Report

TOLERATED_NS = 2 * NANOSECONDS
"""Clocks that differ by less are taken as right: messages are under way as long."""

REMEMBERED_NS = 60 * NANOSECONDS
"""From so many of the last seconds, twice as many at most, the least late message is taken."""

STEP_NS = NANOSECONDS
"""When the monitor's own clock moves by more than time passed, all clocks are measured anew."""

LARGEST_AHEAD_NS = 2**62
"""146 years: what is shown of a clock that is further off."""


@dataclass(frozen=True, slots=True)
class _Measured:
    ahead_ns: int
    before_ns: int
    """The same for the time before `since_ns`."""
    since_ns: int

    def after(self, ahead_ns: int, steady_ns: int) -> _Measured:
        if steady_ns - self.since_ns > REMEMBERED_NS:
            return _Measured(ahead_ns, self.ahead_ns, steady_ns)
        return replace(self, ahead_ns=max(self.ahead_ns, ahead_ns))


class ReplicaClocks:
    """The clocks of the replicas that report."""

    def __init__(self) -> None:
        self._measured: dict[tuple[str, str], _Measured] = {}
        self._offset_ns: int | None = None

    def corrected(self, report: Report, moment: Moment) -> tuple[Report, int]:
        """The report in the monitor's time, ending now at the latest, and how far its clock is ahead."""
        self._notice_steps(moment)
        ahead_ns = self._measure(report, moment)
        off_ns = ahead_ns if abs(ahead_ns) >= TOLERATED_NS else 0
        return replace(
            report,
            start_ns=_between(report.start_ns - off_ns, moment),
            end_ns=_between(report.end_ns - off_ns, moment),
            told=_told_in_time(report.told, off_ns, moment),
        ), max(-LARGEST_AHEAD_NS, min(ahead_ns, LARGEST_AHEAD_NS))

    def forget(self, replica: str, boot_id: str) -> None:
        """A session is over."""
        self._measured.pop((replica, boot_id), None)

    def _measure(self, report: Report, moment: Moment) -> int:
        sent_ns = report.sent_ns or max(report.end_ns, moment.now_ns)  # older replicas do not say
        ahead_ns = sent_ns - moment.now_ns
        key = report.replica, report.boot_id
        known = self._measured.get(key)
        if known is None:
            measured = _Measured(ahead_ns, ahead_ns, moment.steady_ns)
        else:
            measured = known.after(ahead_ns, moment.steady_ns)
        self._measured[key] = measured
        return max(measured.ahead_ns, measured.before_ns)

    def _notice_steps(self, moment: Moment) -> None:
        offset_ns = moment.now_ns - moment.steady_ns
        if self._offset_ns is not None and abs(offset_ns - self._offset_ns) > STEP_NS:
            self._measured.clear()
        self._offset_ns = offset_ns


def _told_in_time(told: ToldPredictions, off_ns: int, moment: Moment) -> ToldPredictions:
    if not told.predictions:
        return told
    corrected = (
        replace(each, time_ns=_between(each.time_ns - off_ns, moment)) for each in told.predictions
    )
    return replace(told, predictions=tuple(corrected))


def _between(time_ns: int, moment: Moment) -> int:
    return max(1, min(time_ns, moment.now_ns))
