"""The services behind the gateway: how they are reached, watched over and given up for a while."""

from __future__ import annotations

from collections.abc import Iterator

from headrace import addresses
from headrace.gateway.config.messages import Message, extension, typed
from headrace.gateway.config.places import (
    COLLECTOR,
    DASHBOARD,
    GRPC_REPLICAS,
    MONITOR,
    REGISTRY,
    REST_REPLICAS,
    Places,
)
from headrace.gateway.config.tls import plain_transport, service_transport
from headrace.gateway.settings import Settings

HEALTH_SECONDS = 1
"""Between two checks of a replica."""
PING_SECONDS = 30
"""Between two looks whether a connection to a service lives; services allow one in five seconds."""
_BUFFER_BYTES = 1 << 20
_PLAIN = {"transport": "plain"}
PLAIN_METADATA: Message = {"filter_metadata": {"envoy.transport_socket_match": _PLAIN}}
"""The mark of an endpoint that is called without TLS."""


def clusters(settings: Settings, places: Places) -> list[Message]:
    """Every service that the settings name."""
    return list(_clusters(settings, places))


def _clusters(settings: Settings, places: Places) -> Iterator[Message]:
    yield _replicas(GRPC_REPLICAS, settings, places, http2=True)
    yield _replicas(REST_REPLICAS, settings, places, http2=False)
    yield _single(REGISTRY, settings.registry_address, settings, places, http2=True)
    if settings.monitor_address:
        yield _single(MONITOR, settings.monitor_address, settings, places, http2=True)
    if settings.monitor_http_address:
        yield _single(DASHBOARD, settings.monitor_http_address, settings, places, http2=False)
    if settings.otlp_address:
        yield _resolved(COLLECTOR, settings.otlp_address, http2=True)


def _replicas(name: str, settings: Settings, places: Places, *, http2: bool) -> Message:
    source = {
        "path": str(places.endpoint_file(name)),
        "watched_directory": {"path": str(places.endpoints)},
    }
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {
            "eds_config": {"path_config_source": source, "resource_api_version": "V3"}
        },
        "lb_policy": "LEAST_REQUEST",
        "health_checks": [_health_check(http2=http2)],
        "ignore_health_on_host_removal": True,
        # Otherwise requests go to dead replicas when half of them are.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "outlier_detection": _ejection(),
        **_common(settings, http2=http2),
        **_transport(settings, places, http2=http2),
    }


def _single(name: str, address: str, settings: Settings, places: Places, *, http2: bool) -> Message:
    cluster = _resolved(name, address, http2=http2) | _common(settings, http2=http2)
    if not addresses.is_over_tls(address, otherwise=True):  # at a Unix socket, or grpc://
        return cluster
    transport = service_transport(settings, places, "h2" if http2 else "http/1.1")
    return cluster | ({"transport_socket": transport} if transport else {})


def _resolved(name: str, address: str, *, http2: bool) -> dict[str, object]:
    """A service at an address whose name is looked up now and then."""
    hosts = [{"lb_endpoints": [{"endpoint": {"address": endpoint_address(address)}}]}]
    return {
        "name": name,
        "type": "STATIC" if address.startswith("unix:") else "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": hosts},
        "typed_extension_protocol_options": _protocol(http2=http2),
    }


def endpoint_address(address: str) -> Message:
    """An address as Envoy has it: `host:port` or `unix:PATH`."""
    if address.startswith("unix:"):
        return {"pipe": {"path": addresses.unix_path(address)}}
    host, port = addresses.split(address)
    return {"socket_address": {"address": host, "port_value": int(port)}}


def _common(settings: Settings, *, http2: bool) -> dict[str, object]:
    most = settings.max_requests_in_flight
    limits = {
        "max_connections": most,
        "max_pending_requests": most,
        "max_requests": most,
        "retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 16},
        "track_remaining": True,
    }
    return {
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": _protocol(http2=http2),
    }


def _protocol(*, http2: bool) -> Message:
    options: dict[str, object] = {"http_protocol_options": {}}
    if http2:
        options = {
            "http2_protocol_options": {
                "max_concurrent_streams": 1000,  # a native front takes 1024
                "initial_stream_window_size": 1 << 20,
                "initial_connection_window_size": 1 << 24,
                "connection_keepalive": {"interval": f"{PING_SECONDS}s", "timeout": "10s"},
            }
        }
    kind = "extensions.upstreams.http.v3.HttpProtocolOptions"
    return {f"envoy.{kind}": typed(kind, explicit_http_config=options)}


def _transport(settings: Settings, places: Places, *, http2: bool) -> dict[str, object]:
    """TLS to replicas, but for those that are marked as plain: at a Unix socket."""
    transport = service_transport(settings, places, "h2" if http2 else "http/1.1")
    if transport is None or settings.plain_replicas:
        return {}
    plain = {"name": "plain", "match": _PLAIN, "transport_socket": plain_transport()}
    tls = {"name": "tls", "match": {}, "transport_socket": transport}
    return {"transport_socket_matches": [plain, tls]}


def _health_check(*, http2: bool) -> Message:
    how: dict[str, object] = {"http_health_check": {"path": "/v2/health/ready"}}
    if http2:
        how = {"grpc_health_check": {}}
    return {
        "timeout": "2s",
        "interval": f"{HEALTH_SECONDS}s",
        "no_traffic_interval": f"{HEALTH_SECONDS}s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        **how,
    }


def _ejection() -> Message:
    """Leave out for a while whoever cannot be reached.

    Answers do not count: a caller who asks for models that do not load would have replicas left out.
    """
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 3,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "interval": "1s",
        "base_ejection_time": "2s",
        "max_ejection_time": "30s",
        "max_ejection_percent": 50,
    }


def previous_hosts() -> Message:
    """Have a try go to another replica than those before it."""
    kind = "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    return extension("envoy.retry_host_predicates.previous_hosts", kind)
