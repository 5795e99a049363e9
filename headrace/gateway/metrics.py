"""What a gateway tells of itself to those who operate it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from headrace import errors
from headrace.gateway.config.endpoints import EndpointState
from headrace.gateway.edge import Edge
from headrace.gateway.follower import ReplicaFollower

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class GatewayMetrics(Collector):
    """The gateway's own series; those of Envoy come after them."""

    def __init__(self, edge: Edge, follower: ReplicaFollower) -> None:
        self._edge = edge
        self._follower = follower

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """The families."""
        yield self._replicas()
        follower, edge = self._follower, self._edge
        known = float(not follower.problem)
        yield _gauge(
            "registry_followed", "Whether the registry said lately which replicas are there", known
        )
        age = time.monotonic() - (follower.answered_at or float("-inf"))
        yield _gauge("registry_answer_age_seconds", "Seconds since the registry said it", age)
        yield _counter("envoy_starts", "Starts of Envoy, without those that took over", edge.starts)
        yield _counter("envoy_handovers", "Envoys that took over from another", edge.handovers)
        yield _counter("settings_refused", "Changed settings that were refused", edge.refusals)

    def _replicas(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "headrace_gateway_replicas", "Replicas that Envoy is told of", labels=["state"]
        )
        for state in EndpointState:
            family.add_metric([state.value.lower()], self._follower.known.count(state))
        return family


async def exposition(registry: CollectorRegistry, edge: Edge) -> bytes:
    """All series as text: the gateway's, and Envoy's if it answers."""
    own = generate_latest(registry)
    if edge.admin is None:
        return own
    try:
        return own + await edge.admin.metrics()
    except errors.Unavailable:
        return own


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"headrace_gateway_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"headrace_gateway_{name}", text, value=value)
