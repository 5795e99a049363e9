"""Parts of a version's requests, told apart by reason, route, slice or caller."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import cast

from headrace.telemetry.histogram import Histogram
from headrace.telemetry.measures import ERRORS, FAILED_TIME, ROUTES, TOTAL_TIME
from headrace.telemetry.parts import (
    LEFT_REASONS,
    STABLE_ROUTE,
    Part,
    key_of_part,
    part_of,
    plain_key,
)
from headrace_monitor.domain.telemetry.tally import Tally


@dataclass(frozen=True, slots=True)
class PartFigures:
    """What a version did for a part of its requests."""

    part: Part
    success_count: int = 0
    """Requests answered well."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """All that were not answered well, by reason."""
    total: Histogram = field(default_factory=Histogram)
    failed: Histogram = field(default_factory=Histogram)
    """Of parts by reason."""

    @property
    def left_count(self) -> int:
        """Requests whose callers left."""
        return left_count(self.errors)

    @property
    def error_count(self) -> int:
        """Requests answered with an error: those whose callers left are none."""
        return sum(self.errors.values()) - self.left_count


def left_count(errors: Mapping[str, int]) -> int:
    """Count requests whose callers left before they were answered."""
    return sum(errors.get(reason, 0) for reason in LEFT_REASONS)


def parts_of(tally: Tally, labels: Collection[str]) -> list[PartFigures]:
    """The parts by these labels, in the order of their labels and values."""
    parts = sorted(part for part in _parts(tally, labels) if part.label in labels)
    return [_figures(tally, part) for part in parts]


def _parts(tally: Tally, labels: Collection[str]) -> set[Part]:
    parts = {part for key in tally.keys() if (part := part_of(key)) is not None}  # noqa: SIM118
    if "reason" in labels:
        parts |= {Part("reason", reason) for reason, count in tally[ERRORS].items() if count}
    if "route" in labels:
        parts |= {Part("route", route) for route, count in tally[ROUTES].items() if count}
    return parts


def _figures(tally: Tally, part: Part) -> PartFigures:
    if part.label == "reason":
        failed = _histogram(tally, FAILED_TIME.key, part)
        return PartFigures(part, errors={part.value: _count(tally, part)}, failed=failed)
    errors = cast("Mapping[str, int]", tally.get(key_of_part(ERRORS.key, part), {}))
    total = _histogram(tally, TOTAL_TIME.key, part)
    if part.label != "route":
        return PartFigures(part, total.count, errors, total)
    count = tally[ROUTES].get(part.value, 0)
    if part.value == STABLE_ROUTE:
        total = _left_for_stable(tally)
    # replicas of earlier versions tell how many there were, and not how long they took
    return PartFigures(part, count, errors, total if total.count == count else Histogram())


def _count(tally: Tally, reason: Part) -> int:
    return tally[ERRORS].get(reason.value, 0)


def _left_for_stable(tally: Tally) -> Histogram:
    """The times that no other route has: replicas do not tell those of most requests twice."""
    others = Histogram()
    for key in tally.keys():  # noqa: SIM118  # it is no dict
        part = part_of(key)
        if part is not None and part.label == "route" and plain_key(key) == TOTAL_TIME.key:
            others.merge(_histogram(tally, TOTAL_TIME.key, part))
    return tally[TOTAL_TIME].minus(others)


def _histogram(tally: Tally, key: str, part: Part) -> Histogram:
    return cast("Histogram", tally.get(key_of_part(key, part), Histogram()))
