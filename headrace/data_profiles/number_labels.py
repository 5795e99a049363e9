"""Labels of numbers, as bins of few distinct values have them."""

from __future__ import annotations

_EXACT = 2.0**53


def label_of(number: float) -> str:
    """A finite number as a text that `float` reads back exactly: `3` for 3.0, `0.5` for 0.5."""
    if number.is_integer() and abs(number) < _EXACT:
        return str(int(number))
    return repr(number)
