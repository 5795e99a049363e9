"""The addresses of replicas as Envoy reads them."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from headrace.gateway.config.clusters import PLAIN_METADATA, endpoint_address
from headrace.gateway.config.messages import Message, typed


class EndpointState(enum.StrEnum):
    """Where a replica is, as Envoy names it: a draining one ends what it has, and gets nothing new."""

    HEALTHY = "HEALTHY"
    DRAINING = "DRAINING"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One address of one replica, `host:port` with an IP address or `unix:PATH`."""

    address: str
    state: EndpointState = EndpointState.HEALTHY


def assignment(cluster: str, endpoints: Iterable[Endpoint]) -> Message:
    """All addresses of one cluster; Envoy takes one cluster a file."""
    hosts = [_host(endpoint) for endpoint in sorted(endpoints)]
    resource = typed(
        "config.endpoint.v3.ClusterLoadAssignment",
        cluster_name=cluster,
        endpoints=[{"lb_endpoints": hosts}] if hosts else [],
    )
    return {"resources": [resource]}


def _host(endpoint: Endpoint) -> Message:
    host: dict[str, object] = {
        "endpoint": {"address": endpoint_address(endpoint.address)},
        "health_status": endpoint.state.value,
    }
    if endpoint.address.startswith("unix:"):
        host["metadata"] = PLAIN_METADATA
    return host
