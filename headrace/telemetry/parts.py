"""Parts of a version's requests, told apart by a label, and the keys of their measures."""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """Some of a version's requests, told apart by a label: those that failed for a reason, say."""

    label: str
    value: str


PART_LABELS = ("reason", "route", "slice", "caller")
"""All labels that tell requests apart."""

LEFT_REASONS = ("CANCELLED",)
"""Of requests whose callers left before they were answered: no error rate should have them."""

STABLE_ROUTE = "stable"
"""The route of most requests. Their times are not told twice: it has what other routes leave."""

OTHER_VALUE = "_other"
"""The value of those beyond a limit."""


def key_of_part(key: str, part: Part) -> str:
    """Build the key of a measure of some requests: `h:failed{reason=QUEUE_FULL}`."""
    return f"{key}{{{part.label}={part.value}}}"


def plain_key(key: str) -> str:
    """Read the key of the measure itself from one that may be of some requests."""
    return key.partition("{")[0]


def part_of(key: str) -> Part | None:
    """Read from a key which requests it is of; None for all."""
    _, brace, told = key.partition("{")
    label, _, value = told.removesuffix("}").partition("=")
    return Part(label, value) if brace else None
