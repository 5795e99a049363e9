"""The port of operations: liveness, readiness, and metrics that are written in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as package_version

from prometheus_client import ProcessCollector

from headrace.onnx_runtime.installation import runtime_version
from headrace.security.access import Access
from headrace.service.call_metrics import CallMetrics
from headrace.service.http.answers import Response
from headrace.service.http.app import HttpApp
from headrace.service.http.operations import add_health_routes
from headrace.service.http.pages import About, signposted
from headrace.service.http.requests import Request
from headrace_inference.adapters import allocator
from headrace_inference.adapters.metrics.collectors import CollectorMeter
from headrace_inference.adapters.metrics.devices import open_device_meter
from headrace_inference.adapters.metrics.machine import MachineMeter
from headrace_inference.adapters.metrics.machine_replicas import MachineMetrics
from headrace_inference.adapters.metrics.replica import Meter, ReplicaMetrics
from headrace_inference.adapters.metrics.rest_errors import RestErrorMeter
from headrace_inference.adapters.metrics.summaries import SummaryWindows
from headrace_inference.adapters.metrics.text import CONTENT_TYPE
from headrace_inference.app.readiness import ReplicaReadiness
from headrace_inference.domain.ingress.ingress import Ingress

_ABOUT = About(
    "Headrace inference, metrics",
    "This port of a replica is for those who operate it. Models are called over REST and gRPC, at ports of "
    "their own (8000 and 8001 by default).",
    {
        "/metrics": "metrics for Prometheus",
        "/healthz": "whether the process answers",
        "/readyz": "whether the replica is ready, and why not",
    },
)

InFlight = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Operations:
    """The application of a replica's own port of operations, and the metrics that it shows."""

    app: HttpApp
    metrics: ReplicaMetrics


@contextmanager
def open_operations(
    ingress: Ingress,
    readiness: ReplicaReadiness,
    in_flight: InFlight,
    front: str,
    calls: CallMetrics,
    more: Sequence[Meter],
    *,
    max_versions: int,
    summaries: bool,
) -> Iterator[Operations]:
    """The application of the port, which may be served while inside."""
    with open_device_meter() as devices:
        app = signposted(_ABOUT, ingress.callers.access)
        add_health_routes(app, readiness.facts)
        collected = CollectorMeter(calls, ProcessCollector(registry=None))
        rest = RestErrorMeter(ingress.rest_errors)
        meters: list[Meter] = [collected, rest, MachineMeter(), *more]
        meters += [devices] if devices else []
        metrics = ReplicaMetrics(
            ingress.reconciler,
            ingress.book,
            lambda: _gauges(ingress, readiness, in_flight),
            _info(front),
            meters,
            SummaryWindows() if summaries else None,
            max_versions,
        )
        add_text_metrics(app, metrics)
        yield Operations(app, metrics)


def metrics_for_siblings(metrics: ReplicaMetrics) -> HttpApp:
    """The application of a socket that nobody but this account's processes reaches: metrics alone."""
    app = signposted(_ABOUT)
    add_text_metrics(app, metrics)
    return app


def add_text_metrics(app: HttpApp, metrics: ReplicaMetrics) -> None:
    """Add GET /metrics."""

    async def exposition(_: Request) -> Response:
        return _answer(await text_in_thread(metrics))

    app.add("GET", "/metrics", exposition)


async def text_in_thread(metrics: ReplicaMetrics) -> bytes:
    """The metrics as text, written where they hold up nobody."""
    return await asyncio.to_thread(metrics.text, metrics.moment())


def machine_operations(
    readiness: ReplicaReadiness, metrics: MachineMetrics, access: Access
) -> HttpApp:
    """The application of the port that replicas share: health is of the one that answers."""

    async def exposition(_: Request) -> Response:
        return _answer(await metrics.text())

    app = signposted(_ABOUT, access)
    add_health_routes(app, readiness.facts)
    app.add("GET", "/metrics", exposition)
    return app


def _answer(text: bytes) -> Response:
    return Response(text, CONTENT_TYPE)


def _info(front: str) -> dict[str, str]:
    return {
        "version": package_version("headrace"),
        "onnxruntime": runtime_version(),
        "front": front,
        "allocator": allocator.in_use(),
    }


def _gauges(
    ingress: Ingress, readiness: ReplicaReadiness, in_flight: InFlight
) -> list[tuple[str, str, float]]:
    revision = ingress.reconciler.applied_revision
    _, facts = readiness.facts()
    connected, whole = (bool(facts.get(f"state_{fact}", True)) for fact in ("connected", "whole"))
    reconciler = ingress.reconciler
    return [
        (
            "headrace_inference_loaded_versions",
            "Versions that are loaded",
            len(reconciler.table.ready),
        ),
        (
            "headrace_inference_standby_versions",
            "Versions that are loaded when a request asks for them",
            reconciler.standby.count,
        ),
        ("headrace_inference_in_flight_requests", "Requests that wait or run", in_flight()),
        ("headrace_inference_applied_revision", "The state applied", revision),
        ("headrace_inference_state_connected", "1 while Redis can be reached, else 0", connected),
        (
            "headrace_inference_state_denied",
            "1 while Redis refuses this replica its rights, else 0",
            bool(facts.get("state_denied")),
        ),
        ("headrace_inference_state_whole", "0 while records in Redis are gone, else 1", whole),
    ]
