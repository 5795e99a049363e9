"""Panels find what changed in which field, and cry no wolf."""

from __future__ import annotations

import pytest

from headrace_monitor.domain.drift.findings import Concern
from headrace_monitor.domain.drift.panel import MINUTE_NS
from tests.unit.monitor.drift.samples import Rows, minutes_to_find

QUIET_MINUTES = 120


def test_rows_as_the_reference_are_no_finding() -> None:
    """A quiet stretch has no finding, and no test is near one."""
    rows = Rows(1)
    panel = rows.panel()
    for minute in range(QUIET_MINUTES):
        panel.step(rows.minute(), minute * MINUTE_NS)
    assert {} == panel.open
    assert max(panel.evidence_shares().values()) < 0.9


@pytest.mark.parametrize(("shift", "within"), [(1.0, 1), (0.25, 9)])
def test_a_shift_is_found_in_its_field(shift: float, within: int) -> None:
    """A sudden shift is found in minutes, whatever good rows came before, and its field is named."""
    rows = Rows(2)
    panel = rows.panel()
    for minute in range(QUIET_MINUTES):
        panel.step(rows.minute(), minute * MINUTE_NS)
    took = minutes_to_find(panel, rows, {3: shift}, QUIET_MINUTES)
    assert took <= within
    assert {("x3", "distribution")} == {
        (key.field, concern) for key, concern in panel.open if concern is Concern.DISTRIBUTION
    }


def test_a_finding_says_since_when_and_what_changed() -> None:
    """The beginning is told within minutes, the mean as it is now."""
    rows = Rows(3)
    panel = rows.panel()
    for minute in range(QUIET_MINUTES):
        panel.step(rows.minute(), minute * MINUTE_NS)
    minutes_to_find(panel, rows, {0: 0.4}, QUIET_MINUTES)
    (finding,) = panel.open.values()
    assert abs(finding.since_ns // MINUTE_NS - QUIET_MINUTES) <= 3
    assert finding.change.startswith("mean ")
    assert 0.2 < (finding.effects.wasserstein or 0) < 0.6


def test_lost_values_are_told_from_a_shift() -> None:
    """A field that goes missing is a finding of its own; the values that are there did not move."""
    rows = Rows(4)
    panel = rows.panel()
    panel.step(rows.minute(missing={1: 72}), MINUTE_NS)
    (finding,) = panel.open.values()
    assert (Concern.MISSING, "x1", "missing 0 % → 12 %") == (
        finding.concern,
        finding.field,
        finding.change,
    )


def test_a_finding_closes_when_the_rows_are_good_again() -> None:
    """As much evidence as against it closes a finding, which is remembered with its end."""
    rows = Rows(5)
    panel = rows.panel()
    minutes_to_find(panel, rows, {2: 0.5}, 0)
    for minute in range(400, 430):
        panel.step(rows.minute(), minute * MINUTE_NS)
    assert {} == panel.open
    assert ["x2"] == [each.field for each in panel.closed]
    assert panel.closed[0].closed_ns is not None
