"""Coarser values: fewer people have a value of their own where values are rounded or cut."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from headrace.lifecycle.tables.rows import MISSING

Coarsen = Callable[[object], object]
"""From a value to a coarser one; missing values stay missing. Raises ValueError for what it cannot read."""

FORMS = "round:STEP, keep:CHARACTERS, year, month"
_DATE = re.compile(r"\s*(\d{4})-(\d{2})(?:-\d{2}.*)?", re.DOTALL)


def coarsening(text: str) -> Coarsen | None:
    """The function of `round:5`, `keep:3`, `year` or `month`; None for other words. Raises ValueError."""
    name, _, rest = text.partition(":")
    match name:
        case "round":
            return _rounded_to(_positive(rest, text))
        case "keep":
            return _cut_to(int(_positive(rest, text)))
        case "year" | "month" if not rest:
            return _dated("year" if name == "year" else "month")
        case _:
            return None


def _positive(text: str, rule: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number > 0 or math.isinf(number) or (rule.startswith("keep") and number % 1):
        raise ValueError(
            f"{rule!r}: a number over 0 is expected behind the colon, as in round:5, keep:3"
        )
    return number


def _is_missing(value: object) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and value.strip() in MISSING


def _rounded_to(step: float) -> Coarsen:
    """Round down to a multiple of the step: 37 of step 5 becomes 35, which stands for 35 up to 40."""

    def rounded(value: object) -> object:
        if _is_missing(value):
            return value
        try:
            number = math.floor(float(value) / step) * step  # type: ignore[arg-type]  # raises
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{value!r:.60} is no number to round") from None
        whole = int(number) if float(step).is_integer() else number
        return str(whole) if isinstance(value, str) else whole

    return rounded


def _cut_to(characters: int) -> Coarsen:
    """Keep the first characters of a text, or of a number as it is written."""

    def cut(value: object) -> object:
        return value if _is_missing(value) else str(value)[:characters]

    return cut


def _dated(part: str) -> Coarsen:
    """Keep the year, or year and month, of a date such as 2026-11-30."""

    def date(value: object) -> object:
        if _is_missing(value):
            return value
        found = _DATE.fullmatch(str(value))
        if found is None:
            raise ValueError(f"{value!r:.60} is no date such as 2026-11-30")
        return found[1] if part == "year" else f"{found[1]}-{found[2]}"

    return date
