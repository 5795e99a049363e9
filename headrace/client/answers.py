"""Answers that are not what their method promises, told as RESPONSE_MALFORMED."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headrace import errors


def malformed(what: str) -> errors.DataLoss:
    """The error for an answer with which this is wrong."""
    return errors.DataLoss("RESPONSE_MALFORMED", f"the server's answer is not whole: {what}")


@contextmanager
def reading_an_answer() -> Iterator[None]:
    """While inside, what a decoded message has that its type does not allow is RESPONSE_MALFORMED.

    Names of other shapes, unknown datatypes and states, times out of range. Also a decorator.
    """
    try:
        yield
    except (ValueError, LookupError, ArithmeticError, errors.InvalidArgument) as error:
        raise malformed(str(error) or type(error).__name__) from error
