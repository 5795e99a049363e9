"""The one address of the gateway: who may come, what is taken from requests, and their limits."""

from __future__ import annotations

from headrace.gateway.config.access_log import access_log
from headrace.gateway.config.filters import cors_policy, filters
from headrace.gateway.config.messages import Message, extension, seconds, typed
from headrace.gateway.config.places import COLLECTOR, Places
from headrace.gateway.config.routes import routes
from headrace.gateway.config.tls import edge_transport
from headrace.gateway.settings import Settings

NAME = "edge"
FORGEABLE_PREFIXES = ("x-headrace-", "x-envoy-")
"""Headers by which the suite, or Envoy, would be told something about a caller: nobody outside may."""
SAID_FREELY = "x-headrace-reason"
"""Why a caller changes something: a note, which says nothing of who he is."""
_BUFFER_BYTES = 1 << 20
_MAX_HEADERS = 100
_MAX_HEADER_KB = 64


def listener(settings: Settings, places: Places) -> Message:
    """The listener."""
    return {
        "name": NAME,
        "address": {
            "socket_address": {"address": settings.host, "port_value": settings.planned_port}
        },
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "filter_chains": [
            {"filters": [_connections(settings)], **edge_transport(settings, places)}
        ],
    }


def _connections(settings: Settings) -> Message:
    return extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=NAME,
        codec_type="AUTO",
        route_config={"name": NAME, "virtual_hosts": [_host(settings)]},
        http_filters=filters(settings),
        access_log=access_log(settings),
        **_hygiene(),
        **_limits(settings),
        **_tracing(settings),
        local_reply_config=_local_replies(settings),
    )


def _host(settings: Settings) -> Message:
    return {"name": "all", "domains": ["*"], "routes": routes(settings), **cors_policy(settings)}


def _all_but(prefix: str, name: str) -> str:
    """The names that begin so, but for one of them; RE2 cannot look ahead, so it is spelled out.

    Names of headers are in lower case by then.
    """
    if not name.startswith(prefix):
        return f"{prefix}.*"
    rest = name.removeprefix(prefix)
    others = [f"{rest[:place]}(?:[^{letter}].*)?" for place, letter in enumerate(rest)]
    return f"{prefix}(?:{'|'.join([*others, f'{rest}.+'])})"


def _hygiene() -> dict[str, object]:
    """What callers cannot say of themselves, and paths that mean one thing to all who read them."""
    removed = [
        {
            "remove_on_match": {
                "key_matcher": {"safe_regex": {"regex": _all_but(prefix, SAID_FREELY)}}
            }
        }
        for prefix in FORGEABLE_PREFIXES
    ]
    mutation = extension(
        "envoy.http.early_header_mutation.header_mutation",
        "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=removed,
    )
    return {
        "early_header_mutation_extensions": [mutation],
        "use_remote_address": True,
        "xff_num_trusted_hops": 0,
        # Nobody is internal: such a caller's x-envoy- headers would be obeyed.
        "internal_address_config": {"cidr_ranges": []},
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"subject": True, "uri": True, "dns": True},
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "generate_request_id": True,
        "preserve_external_request_id": True,
        "request_id_extension": {"typed_config": _request_ids()},
        "server_name": "headrace",
    }


def _request_ids() -> Message:
    """Callers' own ids stay as they are; without this, those that are no UUIDs would have no spans."""
    return typed(
        "extensions.request_id.uuid.v3.UuidRequestIdConfig",
        pack_trace_reason=False,
        use_request_id_for_trace_sampling=False,
    )


def _limits(settings: Settings) -> dict[str, object]:
    common: dict[str, object] = {
        "idle_timeout": seconds(settings.idle_seconds),
        "headers_with_underscores_action": "REJECT_REQUEST",
        "max_headers_count": _MAX_HEADERS,
    }
    if settings.max_connection_age_seconds:
        common["max_connection_duration"] = seconds(settings.max_connection_age_seconds)
    return {
        "common_http_protocol_options": common,
        "http2_protocol_options": {
            "max_concurrent_streams": 1000,
            "initial_stream_window_size": 1 << 20,
            "initial_connection_window_size": 1 << 24,
        },
        "max_request_headers_kb": _MAX_HEADER_KB,
        "request_headers_timeout": "10s",
        "request_timeout": "0s",
        "stream_idle_timeout": seconds(settings.idle_seconds),
        "delayed_close_timeout": "1s",
        "drain_timeout": "5s",
    }


def _tracing(settings: Settings) -> dict[str, object]:
    if not settings.otlp_address:
        return {}
    provider = extension(
        "envoy.tracers.opentelemetry",
        "config.trace.v3.OpenTelemetryConfig",
        grpc_service={"envoy_grpc": {"cluster_name": COLLECTOR}, "timeout": "2s"},
        service_name="headrace-gateway",
    )
    sampling = {"value": settings.trace_percent}
    return {
        "tracing": {
            "provider": provider,
            "random_sampling": sampling,
            "spawn_upstream_span": True,
        }
    }


def _local_replies(settings: Settings) -> Message:
    """Answers that the gateway gives by itself, in the form of the services' own."""
    said = "gateway: %LOCAL_REPLY_BODY%"
    mappers: list[Message] = []
    for status, text in _refusals(settings).items():
        exhausted = {"headers_to_add": [_header("grpc-status", "8")]}
        by_grpc = _all_of(_is_status(status), _IS_GRPC)
        mappers.append({"filter": by_grpc, **exhausted, **_as_text(text)})
        mappers.append({"filter": _is_status(status), **_as_json(text)})
    mappers.append({"filter": _IS_GRPC, **_as_text(said)})
    return {"mappers": mappers, "body_format": {"json_format": {"error": said}}}


def _refusals(settings: Settings) -> dict[int, str]:
    """The words for refusals that a setting decides, by their status."""
    size, rate = settings.max_request_bytes, settings.max_requests_per_second
    return {
        413: f"gateway: the request is larger than the {size} bytes of max_request_bytes",
        429: f"gateway: more than the {rate} requests a second of max_requests_per_second",
    }


_IS_GRPC: Message = {
    "header_filter": {
        "header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    }
}


def _as_text(text: str) -> dict[str, object]:
    return {"body_format_override": {"text_format_source": {"inline_string": text}}}


def _as_json(text: str) -> dict[str, object]:
    return {"body_format_override": {"json_format": {"error": text}}}


def _all_of(*filters: Message) -> Message:
    return {"and_filter": {"filters": list(filters)}}


def _is_status(status: int) -> Message:
    value = {"default_value": status, "runtime_key": f"headrace.mapped_{status}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _header(name: str, value: str) -> Message:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def connection_limit(settings: Settings) -> Message:
    """The most connections of callers at a time."""
    kind = "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    most = settings.max_connections
    return {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": typed(kind, max_active_downstream_connections=most),
    }
