"""Lists, for people, what of a Triton config could not be converted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from headrace.triton.unsupported_fields import UnsupportedField


def describe(not_carried: tuple[UnsupportedField, ...]) -> Iterator[str]:
    """A line for each thing that was not carried over."""
    for each in not_carried:
        text = f"{each.field} = {each.value}: {each.why}; {each.remedy}"
        yield printable(f"not carried over: {text}")


def warn(not_carried: tuple[UnsupportedField, ...]) -> None:
    """Say on standard error what was not carried over."""
    for line in describe(not_carried):
        print(line, file=sys.stderr)
