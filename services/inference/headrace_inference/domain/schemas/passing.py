"""Lets the requests of a run pass the door of their version: flags some, and refuses others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from headrace.errors import HeadraceError, InvalidArgument
from headrace_inference.domain.scheduling.flagged_routes import FlaggedRoute
from headrace_inference.domain.scheduling.requests import Array, InferenceRequest
from headrace_inference.domain.schemas.checks import SchemaChecks, Violation

REASON = "DATA_OUT_OF_SCHEMA"
_TOLD = 8
"""Fields that an answer's flag names."""


class ViolationCounter(Protocol):
    """Counts rows that differed."""

    def record_violations(self, fields: Mapping[str, int]) -> None:
        """So many more, by field."""


class OutOfSchema(Exception):
    """Some requests of a run are refused: their errors, by their places."""

    def __init__(self, refused: Mapping[int, HeadraceError]) -> None:
        super().__init__(REASON)
        self.refused = refused


def pass_door(
    checks: SchemaChecks,
    batch: Sequence[InferenceRequest],
    inputs: Sequence[Array | None],
    first_rows: Sequence[int],
    counter: ViolationCounter,
) -> None:
    """Flag and count the requests of a run whose rows differ.

    Raises OutOfSchema where some are refused: the others are to run without them, and are looked at again.
    """
    found = checks.violations(inputs, first_rows)
    if not found:
        return
    starts = np.asarray(first_rows)
    by_request: dict[int, list[Violation]] = {}
    for violation in found:
        # A request that runs alone may have other rows than it counts as.
        place = min(int(np.searchsorted(starts, violation.row, side="right")), len(batch)) - 1
        by_request.setdefault(place, []).append(violation)
    refused = {
        place: _refusal(violations, first_rows[place])
        for place, violations in by_request.items()
        if any(one.check.rejects for one in violations)
    }
    if refused:
        _count(counter, (one for place in refused for one in by_request[place]))
        raise OutOfSchema(refused)
    for place, violations in by_request.items():
        _flag(batch[place], violations, counter)


def _flag(
    request: InferenceRequest, violations: Sequence[Violation], counter: ViolationCounter
) -> None:
    if isinstance(request.route, FlaggedRoute):  # it ran in a batch that failed, and is counted
        return
    _count(counter, violations)
    names = list(dict.fromkeys(one.check.name for one in violations))
    more = f", {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    request.route = FlaggedRoute(request.route, ", ".join(names[:_TOLD]) + more)


def _count(counter: ViolationCounter, violations: Iterable[Violation]) -> None:
    rows: Counter[str] = Counter()
    for one in violations:
        rows[one.check.name] += one.rows
    counter.record_violations(rows)


def _refusal(violations: Sequence[Violation], first_row: int) -> HeadraceError:
    first = next(one for one in violations if one.check.rejects)
    check, others = (
        first.check,
        len({one.check.name for one in violations if one.check.rejects}) - 1,
    )
    more = f"; {others} more of its fields differ" if others else ""
    return InvalidArgument(
        REASON,
        f"{check.name} is {first.value} in row {first.row - first_row}, and allowed is {check.allowed()}"
        f"{more}: the version's reference was learnt so, and rejects what differs",
        facts={"field": check.name, "value": first.value, "allowed": check.allowed()},
    )
