"""What a filter compares with: texts with wildcards, which may be numbers, times and durations, too."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:\d\d)?)?"
)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_BARE = re.compile(r"[^\s()\"'{}\[\]:=<>!\\*]+")


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it was written: between its `parts` any text may be; one part has no wildcard."""

    parts: tuple[str, ...]
    quoted: bool = False

    @property
    def text(self) -> str:
        """It as a text, wildcards as `*`."""
        return "*".join(self.parts)

    @property
    def is_anything(self) -> bool:
        """Return whether it is `*` alone, which stands for whatever there is."""
        return self.parts == ("", "")

    def fits(self, text: str) -> bool:
        """Return whether the whole of a text is this one."""
        return _fits(self.parts, text)

    def is_in(self, text: str) -> bool:
        """Return whether a text has it anywhere in it."""
        return _fits(("", *self.parts, ""), text)

    @property
    def number(self) -> float | None:
        """It as a finite number, or None."""
        return _number(self.text)

    @property
    def moment(self) -> float | None:
        """It as a time by RFC 3339, in seconds since the epoch, or None; without an offset it is UTC."""
        return _moment(self.text)

    @property
    def span(self) -> float | None:
        """It as a duration in seconds, or None: a number and one of s, m, h, d, w."""
        found = _SPAN.fullmatch(self.text)
        return float(found[1]) * _UNITS[found[2]] if found else None


def written_value(value: Value) -> str:
    """The value as a filter has it: in quotes, if it was or has to be."""
    if not value.quoted and all(part == "" or _BARE.fullmatch(part) for part in value.parts):
        return value.text
    return '"' + "*".join(_escaped(part) for part in value.parts) + '"'


def _escaped(part: str) -> str:
    text = re.sub(r'[\\"*]', r"\\\g<0>", part)
    return text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def _fits(parts: tuple[str, ...], text: str) -> bool:
    """Return whether a text has the parts in their order, the first at its start, the last at its end."""
    if len(parts) == 1:
        return parts[0] == text
    first, *middle, last = parts
    if len(first) + len(last) > len(text) or not (text.startswith(first) and text.endswith(last)):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


@lru_cache(maxsize=1024)
def _number(text: str) -> float | None:
    if not text.isascii() or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


@lru_cache(maxsize=1024)
def _moment(text: str) -> float | None:
    if not text.isascii() or not _MOMENT.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(_six_digits(text.upper()))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):  # there is no such day, or it is before year 1 in UTC
        return None


def _six_digits(text: str) -> str:
    """A time with microseconds at most: Python reads no more."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text)
