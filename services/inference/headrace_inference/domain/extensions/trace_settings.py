"""The trace settings that Triton's trace extension can set, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headrace.errors import InvalidArgument, Unimplemented

TIMESTAMPS, TENSORS, OFF = "TIMESTAMPS", "TENSORS", "OFF"
_LEVELS = {
    OFF: (),
    TIMESTAMPS: (TIMESTAMPS,),
    TENSORS: (TENSORS,),
    "MIN": (TIMESTAMPS,),
    "MAX": (TIMESTAMPS,),
}
"""The levels by their names; the last two are Triton's older ones."""

MAX_NUMBER = 2**31 - 1

Reader = Callable[[str, Sequence[str]], Any]

Changes = Mapping[str, Sequence[str]]
"""New values by key; an empty list takes the setting back."""


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """One of every `rate` requests is traced with these levels, until `count` were (-1: no limit).

    `log_frequency` traces go into one file, then the next begins; 0 keeps one file.
    """

    levels: tuple[str, ...] = ()
    rate: int = 1000
    count: int = -1
    log_frequency: int = 0

    def changed(self, changes: Changes, former: TraceSettings) -> TraceSettings:
        """These settings with changes; what is taken back is as in `former`.

        Raises InvalidArgument (SETTING_INVALID), and Unimplemented (SETTING_READ_ONLY) for what only the
        start of the process sets.
        """
        settings = self
        for key, values in changes.items():
            if key not in _READERS:
                _refuse(key, values)
                continue
            name = _FIELDS[key]
            value = _READERS[key](key, values) if values else getattr(former, name)
            settings = replace(settings, **{name: value})
        return settings

    def shown(self, file: str) -> dict[str, list[str]]:
        """All settings as the protocol shows them."""
        return {
            "trace_file": [file],
            "trace_level": list(self.levels) or [OFF],
            "trace_rate": [str(self.rate)],
            "trace_count": [str(self.count)],
            "log_frequency": [str(self.log_frequency)],
            "trace_mode": ["triton"],
        }


def levels(key: str, values: Sequence[str]) -> tuple[str, ...]:
    """The levels of these names. Raises InvalidArgument."""
    found: list[str] = []
    for value in values:
        if value not in _LEVELS:
            raise _invalid(key, f"'{value}' is not one of {', '.join(_LEVELS)}")
        found += _LEVELS[value]
    return tuple(dict.fromkeys(found))


def _number(least: int) -> Reader:
    def read(key: str, values: Sequence[str]) -> int:
        text = values[0] if len(values) == 1 else ""
        digits = text.removeprefix("-")
        number = int(text[:12]) if digits.isascii() and digits.isdigit() else least - 1
        if not least <= number <= MAX_NUMBER:
            raise _invalid(key, f"one number from {least} to {MAX_NUMBER} is expected")
        return number

    return read


_READERS = {
    "trace_level": levels,
    "trace_rate": _number(1),
    "trace_count": _number(-1),
    "log_frequency": _number(0),
}
_FIELDS = {
    "trace_level": "levels",
    "trace_rate": "rate",
    "trace_count": "count",
    "log_frequency": "log_frequency",
}


def _refuse(key: str, values: Sequence[str]) -> None:
    if key not in ("trace_file", "trace_mode"):
        known = ", ".join((*_READERS, "trace_file", "trace_mode"))
        raise _invalid(key, f"the settings of traces are {known}")
    if values:
        what = "trace file location" if key == "trace_file" else "trace mode"
        raise Unimplemented(
            "SETTING_READ_ONLY",
            f"{what} can not be updated through network protocol; start the replica with --trace-file",
            facts={"setting": key},
        )


def _invalid(key: str, what: str) -> InvalidArgument:
    return InvalidArgument(
        "SETTING_INVALID", f"invalid value for setting '{key}': {what}", facts={"setting": key}
    )
