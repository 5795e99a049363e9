"""Durations as people write them: 90d, 12h, 30m, 45s."""

from __future__ import annotations

import re

import typer

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def seconds_in(text: str | None, flag: str) -> float | None:
    """The seconds; None where nothing is given. Raises typer.BadParameter."""
    if text is None:
        return None
    found = _DURATION.fullmatch(text) if text != "0" else ("0", "0", "s")
    if found is None:
        raise typer.BadParameter(f"{flag} {text!r} is no duration: write 90d, 12h, 30m or 45s")
    return float(found[1]) * _UNITS[found[2]]
