"""The clients of the suite, and what they hand out."""

from headrace.client.artifact import Progress
from headrace.client.async_client import AsyncClient
from headrace.client.inference import IndexEntry
from headrace.client.resources import (
    Alias,
    Change,
    Gap,
    Latency,
    Model,
    ReplicaStatistics,
    Route,
    Statistics,
    Version,
    VersionStatistics,
)
from headrace.client.settings import ClientSettings, read_client_settings
from headrace.client.sync_client import Client
from headrace.client.tensors import InferResult, ModelMetadata, TensorMetadata

__all__ = [
    "Alias",
    "AsyncClient",
    "Change",
    "Client",
    "ClientSettings",
    "Gap",
    "IndexEntry",
    "InferResult",
    "Latency",
    "Model",
    "ModelMetadata",
    "Progress",
    "ReplicaStatistics",
    "Route",
    "Statistics",
    "TensorMetadata",
    "Version",
    "VersionStatistics",
    "read_client_settings",
]
