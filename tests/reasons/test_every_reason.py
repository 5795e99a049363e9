"""Each reason of docs/errors.md has a way to bring it about here, or a checked word why it has none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.reasons import methods, registry, test_alerts, test_monitor
from tests.reasons.access import ACCESS
from tests.reasons.annotations import ANNOTATIONS
from tests.reasons.elsewhere import CLIENT_SAYS, ELSEWHERE, TRIED
from tests.reasons.exact import listed
from tests.reasons.messages import CALLS, POSTS
from tests.reasons.references import REFERENCES
from tests.reasons.scenes import SCENES
from tests.unit.headrace.test_errors_documented import raised_errors

ROOT = Path(__file__).parents[2]

REQUESTS = {*CALLS, *POSTS, "MALFORMED_REQUEST"} | {
    reason for _, reasons in SCENES for reason in reasons
}
"""Of inference, over every wire."""

ROWS: tuple[Sequence[methods.Method | registry.Refusal], ...] = (
    methods.PLAIN,
    methods.REGIONS,
    methods.EXPLICIT,
    methods.UNREADY,
    registry.CALLS,
    registry.PUSHES,
    registry.LIMITED,
    registry.CONFIGS,
    ACCESS,
    REFERENCES,
    ANNOTATIONS,
)
OTHERS = {(one.kind, one.reason) for rows in ROWS for one in rows} | {
    (kind, reason) for kind, reason, *_ in (*test_monitor.REFUSALS, *test_alerts.REFUSALS)
}
"""Of a replica's other methods, the registry and the monitor, with their classes."""


def test_every_reason_is_brought_about_or_explained() -> None:
    """A new reason needs a row in this folder: see CONTRIBUTING.md."""
    untold = {reason for group in ELSEWHERE for reason in group.reasons} | set(TRIED)
    missing = {
        (kind, reason)
        for kind, reason in listed() - OTHERS - CLIENT_SAYS
        if reason not in REQUESTS | untold
    }
    assert set() == missing
    known = {reason for _, reason in listed()}
    assert set() == (REQUESTS | untold | {reason for _, reason in OTHERS}) - known


def test_what_requests_are_not_told_is_raised_elsewhere() -> None:
    """Whoever raises such a reason where requests are answered has to bring it about here."""
    places = {reason: group.places for group in ELSEWHERE for reason in group.reasons}
    strays = {
        (reason, place)
        for place, _, reason in raised_errors()
        if reason in places and not place.startswith(places[reason])
    }
    assert set() == strays


def test_what_is_tried_in_other_files_is_tried_there() -> None:
    """Those tests name the reason."""
    missing = {
        reason for reason, path in TRIED.items() if f'"{reason}"' not in (ROOT / path).read_text()
    }
    assert set() == missing
