"""Reads the parameters of the console's questions. All raise InvalidArgument (INVALID_QUERY)."""

from __future__ import annotations

import math
from collections.abc import Collection

from headrace import errors
from headrace.service.http.requests import Request

MAX_TEXT = 256


def invalid(field: str, description: str) -> errors.InvalidArgument:
    """The error for a parameter that is not what it should be."""
    violation = errors.FieldViolation(field, description)
    message = f"{field} {description}"
    return errors.InvalidArgument("INVALID_QUERY", message, violations=(violation,))


def whole_number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number between two others."""
    text = request.head.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise invalid(name, f"must be a whole number from {least} to {most}")
    return int(text)


def seconds(request: Request, name: str, default: float) -> float:
    """A number of seconds, 0 or more."""
    try:
        found = float(request.head.query.get(name, "") or default)
    except ValueError:
        found = math.nan
    if not 0 <= found <= 10**11:  # NaN is in no range
        raise invalid(name, "must be a number of seconds, 0 or more")
    return found


def text(request: Request, name: str, most: int = MAX_TEXT) -> str:
    """A text of one line, '' where there is none."""
    found = request.head.query.get(name, "").strip()
    if len(found) > most or not found.isprintable():
        raise invalid(name, f"must be a text of one line, at most {most} characters")
    return found


def choice(request: Request, name: str, allowed: Collection[str], default: str) -> str:
    """One of several words, perhaps with - before it."""
    found = request.head.query.get(name, "") or default
    if found.removeprefix("-") not in allowed:
        raise invalid(
            name, f"must be one of {', '.join(allowed)}, with - before it for the reverse"
        )
    return found
