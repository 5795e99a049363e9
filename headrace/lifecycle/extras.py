"""The libraries of the extras, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from headrace.errors import FailedPrecondition


def from_extra(module: str, what: str, extra: str = "lifecycle") -> Any:
    """Import a library that an extra brings, for `what` takes it.

    Raises FailedPrecondition (LIFECYCLE_EXTRA_MISSING), which says how to install it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise FailedPrecondition(
            "LIFECYCLE_EXTRA_MISSING",
            f"{what} takes {error.name or module}: pip install 'headrace[{extra}]'",
        ) from error
