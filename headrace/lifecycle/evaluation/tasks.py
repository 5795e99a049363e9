"""The tasks that are evaluated, and which of them a target and outputs are of."""

from __future__ import annotations

import enum

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


def impossible(what: str) -> InvalidArgument:
    """An error of something that cannot be evaluated as it was asked."""
    return InvalidArgument("EVALUATION_IMPOSSIBLE", what)
