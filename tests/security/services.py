"""Every gRPC service of the project, as its generated code has it: a new one is here without a line."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from google.protobuf.descriptor import ServiceDescriptor

import headrace.inference.v1
import headrace.monitor.v1
import headrace.registry.v1
from headrace.inference import grpc_service_pb2

PACKAGES: tuple[ModuleType, ...] = (
    headrace.inference.v1,
    headrace.monitor.v1,
    headrace.registry.v1,
)


def services() -> Iterator[ServiceDescriptor]:
    """The Open Inference Protocol's, then those of our own packages."""
    yield from grpc_service_pb2.DESCRIPTOR.services_by_name.values()
    for package in PACKAGES:
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.endswith("_pb2"):
                file = importlib.import_module(f"{package.__name__}.{module.name}")
                yield from file.DESCRIPTOR.services_by_name.values()
