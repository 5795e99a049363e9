"""Headrace: Model-as-a-Service for ONNX models.

What a user's program needs is here: `headrace.Client`, `headrace.AsyncClient`, and `headrace.errors`.
The services import this package too, so the client is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from headrace import errors
from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from headrace.client import (
        AsyncClient,
        Attachment,
        Client,
        ClientSettings,
        InferResult,
        Lineage,
        Metric,
        Progress,
        VersionAnnotations,
    )

_OF_THE_CLIENT = {
    "AsyncClient",
    "Attachment",
    "Client",
    "ClientSettings",
    "InferResult",
    "Lineage",
    "Metric",
    "Progress",
    "VersionAnnotations",
}

__all__ = [
    "AsyncClient",
    "Attachment",
    "Client",
    "ClientSettings",
    "HeadraceError",
    "InferResult",
    "Lineage",
    "Metric",
    "Progress",
    "VersionAnnotations",
    "errors",
]


if not TYPE_CHECKING:  # else it would have any name

    def __getattr__(name: str) -> Any:
        if name not in _OF_THE_CLIENT:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module("headrace.client"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
