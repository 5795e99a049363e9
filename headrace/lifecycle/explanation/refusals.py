"""What cannot be explained, as errors that say what can."""

from __future__ import annotations

from headrace.errors import FailedPrecondition, InvalidArgument


def invalid(what: str) -> InvalidArgument:
    """An error of what was asked to be explained, and how."""
    return InvalidArgument("EXPLANATION_INVALID", what)


def too_large(needed: int, allowed: int) -> InvalidArgument:
    """An error of an explanation that would ask more rows than it may."""
    return InvalidArgument(
        "EXPLANATION_TOO_LARGE",
        f"it takes {needed:,} rows, and may ask {allowed:,}: allow more, take fewer samples, steps or "
        "background rows, or group features (patches of an image)",
        facts={"rows": str(needed), "allowed": str(allowed)},
    )


def not_finite(output: str, count: int, rows: int) -> FailedPrecondition:
    """An error of answers that are no numbers."""
    return FailedPrecondition(
        "ANSWER_NOT_FINITE",
        f"{count} of {rows} answers of output {output!r} are NaN or infinite where features are "
        "replaced by the baseline: take another baseline, one that the model knows",
    )


def refused(why: str) -> FailedPrecondition:
    """An error of a version that refuses rows with masked features."""
    return FailedPrecondition(
        "MASKED_ROWS_REFUSED",
        "the version takes the row, and refuses it with features replaced by the baseline: take a baseline "
        f"of what it knows, such as reference, mean or rows of your data ({why})",
    )
