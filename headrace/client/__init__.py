"""The clients of the suite, and what they hand out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from headrace.client.artifact import Progress
from headrace.client.async_client import AsyncClient
from headrace.client.inference import IndexEntry
from headrace.client.input_errors import InputTypeError
from headrace.client.resources import (
    Alias,
    Change,
    ChangedResource,
    Gap,
    Latency,
    MeasureValue,
    Model,
    ReplicaStatistics,
    Route,
    Statistics,
    StoredRecord,
    Version,
    VersionStatistics,
)
from headrace.client.results import InferResult
from headrace.client.settings import ClientSettings, read_client_settings
from headrace.client.sync_client import Client

if TYPE_CHECKING:
    from headrace.client.binding import Inputs
    from headrace.client.tensors import ModelMetadata, TensorMetadata

_WITH_NUMPY = {
    "Inputs": "headrace.client.binding",
    "ModelMetadata": "headrace.client.tensors",
    "TensorMetadata": "headrace.client.tensors",
}
"""Loaded when they are asked for: numpy takes longer to load than all of the rest."""

__all__ = [
    "Alias",
    "AsyncClient",
    "Change",
    "ChangedResource",
    "Client",
    "ClientSettings",
    "Gap",
    "IndexEntry",
    "InferResult",
    "InputTypeError",
    "Inputs",
    "Latency",
    "MeasureValue",
    "Model",
    "ModelMetadata",
    "Progress",
    "ReplicaStatistics",
    "Route",
    "Statistics",
    "StoredRecord",
    "TensorMetadata",
    "Version",
    "VersionStatistics",
    "read_client_settings",
]


if not TYPE_CHECKING:  # else it would have any name

    def __getattr__(name: str) -> object:
        if name not in _WITH_NUMPY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_WITH_NUMPY[name]), name)
