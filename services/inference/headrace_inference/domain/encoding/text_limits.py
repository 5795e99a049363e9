"""Refuses texts that a version cannot encode: none, empty ones, and those over its context length."""

from __future__ import annotations

from headrace.errors import FieldViolation, InvalidArgument

MAX_TEXTS = 2048
"""Of one call."""


def refuse_empty(texts: int) -> None:
    """Raises InvalidArgument (TEXTS_MISSING) where there is no text at all."""
    if not texts:
        raise InvalidArgument("TEXTS_MISSING", "there is no text to encode: send one at least")


def refuse_many(texts: int) -> None:
    """Raises InvalidArgument (TOO_MANY_TEXTS) for more texts than a call may have."""
    if texts > MAX_TEXTS:
        raise InvalidArgument(
            "TOO_MANY_TEXTS",
            f"{texts} texts were sent at once, allowed are {MAX_TEXTS}: send them in several calls",
            facts={"limit": str(MAX_TEXTS)},
        )


def check_length(name: str, tokens: int, most: int, field: str = "") -> None:
    """Raises InvalidArgument (TEXT_EMPTY, CONTEXT_LENGTH_EXCEEDED)."""
    if not tokens:
        said = "an empty text cannot be encoded: leave it out"
        raise InvalidArgument("TEXT_EMPTY", said, violations=_violations(field, said))
    if tokens > most:
        said = (
            f"a text has {tokens} tokens, and {name} takes {most}: shorten it, or have it cut (truncate in "
            "the request, or encoding.truncate of the version's serving config)"
        )
        raise InvalidArgument(
            "CONTEXT_LENGTH_EXCEEDED",
            said,
            facts={"limit": str(most), "prompt_tokens": str(tokens)},
            violations=_violations(field, said),
        )


def _violations(field: str, said: str) -> tuple[FieldViolation, ...]:
    return (FieldViolation(field, said),) if field else ()
