"""Answers questions about the server and its versions for every wire: readiness, metadata, statistics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from headrace.errors import Unavailable
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import model_config_pb2 as config_pb
from headrace_inference.domain.extensions.log_settings import LogSwitches
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.reconciliation.model_control import ModelControl, RegistryControl
from headrace_inference.wire.codec import messages
from headrace_inference.wire.siblings import Siblings


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The facts about the server that RPCs say and change: name, version, readiness, logs, models."""

    version: str
    is_ready: Callable[[], bool]
    name: str = "headrace"
    log: LogSwitches = field(default_factory=LogSwitches)
    control: ModelControl = field(default_factory=RegistryControl)
    siblings: Siblings | None = None
    """The other replicas, where they share the port."""


def model_ready(ingress: Ingress, name: str, version: str) -> bool:
    """Return whether these names lead to a version that can be called, or is loaded when it is.

    Raises NotFound for unknown ones, and Unavailable before it is known which there are.
    """
    table = ingress.reconciler.table
    try:
        table.record(name, version)
    except Unavailable:
        if not table.catalog.known:
            raise
        return False
    return True


def metadata_of(ingress: Ingress, name: str, version: str) -> pb.ModelMetadataResponse:
    """The metadata of the version that these names lead to. Raises HeadraceError."""
    table = ingress.reconciler.table
    record = table.record(name, version)
    return messages.model_metadata(record, table.callable_numbers(record.model))


def config_of(ingress: Ingress, name: str, version: str) -> config_pb.ModelConfig:
    """How the version is served that these names lead to, with what was chosen here where it is loaded.

    Raises HeadraceError.
    """
    table = ingress.reconciler.table
    record = table.record(name, version)
    served = table.ready.get((record.model, record.number))
    if served is None:
        return messages.model_config(record)
    is_measured = not served.runner.plan.is_provisional
    return messages.model_config(served.effective_record, is_measured=is_measured)


def statistics_of(ingress: Ingress, name: str, version: str) -> pb.ModelStatisticsResponse:
    """The statistics of one version, of all of a model's, or of all. Raises HeadraceError."""
    items = ingress.book.items()
    if not name:
        return messages.model_statistics(items, ingress.clock)
    if version or "@" in name:
        key = _key(ingress, name, version)
        return messages.model_statistics([(key, ingress.book.of(*key))], ingress.clock)
    table = ingress.reconciler.table
    if name not in table.catalog.models:
        raise table.explain(name, version)
    return messages.model_statistics([item for item in items if item[0][0] == name], ingress.clock)


def _key(ingress: Ingress, name: str, version: str) -> tuple[str, int]:
    record = ingress.reconciler.table.record(name, version)
    return record.model, record.number
