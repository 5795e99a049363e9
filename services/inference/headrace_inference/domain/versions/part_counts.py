"""Counts parts of a version's requests: by the reason of an error, by route, slice and caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from headrace.telemetry.histogram import Histogram
from headrace.telemetry.parts import OTHER_VALUE, STABLE_ROUTE, Part
from headrace_inference.domain.scheduling.flagged_routes import plain_route
from headrace_inference.domain.scheduling.requests import Asked

MAX_REASONS = 64
"""Whose times are told apart, of one version in the time between two reports."""

TellApart = Callable[[Asked | None], Sequence[Part]]
"""Says to which parts a request belongs, beside those of its route and of its reason."""


@dataclass(slots=True)
class PartCounts:
    """The counts of parts in a span of time. Spans add up; durations are nanoseconds."""

    total: dict[Part, Histogram] = field(default_factory=dict)
    """From reception to answer; but for the route `stable`, which has what other routes leave."""
    errors: dict[Part, Counter[str]] = field(default_factory=dict)
    failed: dict[str, Histogram] = field(default_factory=dict)
    """From reception to the error, by its reason."""

    def add(self, other: PartCounts) -> None:
        """Add another span."""
        for part, histogram in other.total.items():
            self.total.setdefault(part, Histogram()).merge(histogram)
        for part, errors in other.errors.items():
            self.errors.setdefault(part, Counter()).update(errors)
        for reason, histogram in other.failed.items():
            self.failed.setdefault(reason, Histogram()).merge(histogram)

    def record_answers(
        self,
        durations_ns: npt.NDArray[np.int64],
        routes: Sequence[str],
        parts: Sequence[Sequence[Part]],
    ) -> None:
        """So many requests were answered, by these routes; `parts` are theirs, or empty."""
        if routes.count(STABLE_ROUTE) < len(routes):
            self._record_routes(durations_ns, routes)
        places: dict[Part, list[int]] = {}
        for place, some in enumerate(parts):
            for part in some:
                places.setdefault(part, []).append(place)
        for part, found in places.items():
            self.total.setdefault(part, Histogram()).record(durations_ns[found])

    def _record_routes(self, durations_ns: npt.NDArray[np.int64], routes: Sequence[str]) -> None:
        if routes.count(routes[0]) == len(routes):
            part = Part("route", plain_route(routes[0]))
            self.total.setdefault(part, Histogram()).record(durations_ns)
            return
        places: dict[str, list[int]] = {}
        for place, route in enumerate(routes):
            places.setdefault(plain_route(route), []).append(place)
        for route, found in places.items():
            if route != STABLE_ROUTE:
                part = Part("route", route)
                self.total.setdefault(part, Histogram()).record(durations_ns[found])

    def record_error(self, reason: str, parts: Sequence[Part]) -> None:
        """One request of these parts was answered with an error."""
        for part in parts:
            self.errors.setdefault(part, Counter())[reason] += 1

    def record_failed(self, reason: str, durations_ns: npt.NDArray[np.int64]) -> None:
        """Requests took so long until they were answered with an error for this reason."""
        if reason not in self.failed and len(self.failed) >= MAX_REASONS:
            reason = OTHER_VALUE
        self.failed.setdefault(reason, Histogram()).record(durations_ns)
