"""Headrace: Model-as-a-Service for ONNX models.

What a user's program needs is here: `headrace.Client`, `headrace.AsyncClient`, and `headrace.errors`.
The services import this package too, so a name is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.client import (
        AsyncClient,
        Client,
        ClientSettings,
        InferResult,
        Progress,
    )
    from headrace.errors import HeadraceError

_MODULES = {
    "AsyncClient": "headrace.client",
    "Client": "headrace.client",
    "ClientSettings": "headrace.client",
    "HeadraceError": "headrace.errors",
    "InferResult": "headrace.client",
    "Progress": "headrace.client",
}

__all__ = [
    "AsyncClient",
    "Client",
    "ClientSettings",
    "HeadraceError",
    "InferResult",
    "Progress",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
