"""The tasks that are evaluated, and which of them a target and outputs are of."""

from __future__ import annotations

import enum
from collections.abc import Collection

from headrace.errors import InvalidArgument


class Task(enum.StrEnum):
    """What a version was made for."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"
    RANKING = "ranking"
    GENERATION = "generation"


CLASSES = frozenset([Task.BINARY, Task.MULTICLASS])


_LISTED = 12


def listed(names: Collection[str]) -> str:
    """The first of some names, and how many more there are."""
    shown = ", ".join(repr(name[:60]) for name in list(names)[:_LISTED])
    return shown + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def impossible(what: str) -> InvalidArgument:
    """An error of something that cannot be evaluated as it was asked."""
    return InvalidArgument("EVALUATION_IMPOSSIBLE", what)
