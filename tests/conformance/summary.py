"""Results as a table for people, and as JSON for programs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tests.conformance.bare import Examined
from tests.conformance.batching import KIND as ROWS
from tests.conformance.outcomes import WRONG, Outcome, Result, Wire

_COLUMNS = ("kind", "cases", "run by ORT", "as expected", "refused", "wire", *Outcome)
_FAILURE_WIDTH = 110
_QUOTED = re.compile(r"'[^']*'|\([^)]*\)|\d+")


class Summary:
    """Everything that a run found."""

    def __init__(self, examined: Sequence[Examined], results: Sequence[Result]) -> None:
        self._examined = examined
        self._results = results

    @property
    def faults(self) -> list[str]:
        """What is wrong, one line each; none if all that bare ONNX Runtime runs is served the same."""
        not_run = [Result(one) for one in self._examined if not one.answers]
        return [
            f"{result.examined.case.name}: {fault}"
            for result in (*not_run, *self._results)
            for fault in result.faults()
        ]

    def table(self) -> str:
        """One row for each kind of case and wire."""
        rows = [_COLUMNS, *self._rows()]
        widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
        lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
        return "\n".join(lines)

    def refusals(self) -> Counter[str]:
        """How many of the cases that bare ONNX Runtime runs are refused, by what their tensors are."""
        return Counter(
            f"{result.refusal.reason}: {_what(result.refusal.message)}"
            for result in self._results
            if result.refusal is not None
        )

    def not_run(self) -> Counter[str]:
        """How many cases bare ONNX Runtime does not run, by its own words without names and numbers."""
        failures = [one.failure for one in self._examined if one.failure and one.case.kind != ROWS]
        return Counter(_QUOTED.sub("…", failure)[:_FAILURE_WIDTH] for failure in failures)

    def to_json(self) -> dict[str, Any]:
        """All of it, each case by name."""
        by_name = {result.examined.case.name: result for result in self._results}
        return {
            "faults": self.faults,
            "refusals": dict(self.refusals()),
            "not_run": dict(self.not_run()),
            "cases": {
                one.case.name: _case(one, by_name.get(one.case.name)) for one in self._examined
            },
        }

    def _rows(self) -> Iterable[tuple[str, ...]]:
        for kind in dict.fromkeys(one.case.kind for one in self._examined):
            examined = [one for one in self._examined if one.case.kind == kind]
            results = [result for result in self._results if result.examined.case.kind == kind]
            counts = (
                len(examined),
                sum(bool(one.answers) for one in examined),
                sum(one.as_expected for one in examined),
                sum(result.refusal is not None for result in results),
            )
            first = (kind, *map(str, counts))
            for wire in dict.fromkeys(wire for result in results for wire in result.called):
                yield (*first, wire, *_outcomes(results, wire))
                first = ("",) * len(first)


def _outcomes(results: Iterable[Result], wire: Wire) -> list[str]:
    found = Counter(result.called[wire].outcome for result in results if wire in result.called)
    return [str(found[outcome]) if found[outcome] else "-" for outcome in Outcome]


def _what(message: str) -> str:
    return re.sub(r"^'[^']*' ", "", message.partition(",")[0])


def _case(one: Examined, result: Result | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "runs": bool(one.answers),
        "as_expected": one.as_expected,
        "repeatable": one.repeatable,
    }
    if one.failure:
        found["failure"] = one.failure
    if result is not None and result.refusal is not None:
        found["refusal"] = {"reason": result.refusal.reason, "message": result.refusal.message}
    if result is not None:
        found["wires"] = {
            wire: called.outcome.value + (f": {called.detail}" if called.outcome in WRONG else "")
            for wire, called in result.called.items()
        }
    return found
