"""Where requests go by their paths: what is offered through the gateway, and what of it may be repeated."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.gateway.config.clusters import previous_hosts
from headrace.gateway.config.messages import Message, seconds, typed
from headrace.gateway.config.places import (
    DASHBOARD,
    GRPC_REPLICAS,
    MONITOR,
    REGISTRY,
    REST_REPLICAS,
)
from headrace.gateway.settings import Settings

INFERENCE = "/inference.GRPCInferenceService/"
REPEATABLE = (
    "ModelInfer",
    "ModelMetadata",
    "ModelReady",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
    "ServerMetadata",
    "ServerLive",
    "ServerReady",
)
"""Methods of inference that may run twice: they change nothing."""
GENERATION = "/headrace.inference.v1.GenerationService/"
TEXT_REPEATABLE = ("Score", "Embed", "Rerank", "Tokenize", "Detokenize")
"""Methods of text that may run twice; one that generates is a stream, and is never repeated."""
QUERIES = ("QueryStatistics", "QuerySeries")
"""Methods of the monitor for everybody; replicas report to it without the gateway."""
MONITOR_SERVICES = ("QualityService", "DriftService", "ProfileService", "AlertService")
"""Services of the monitor all of whose methods are for everybody."""
SERVICES_ALONE = ("/headrace.registry.v1.AccessService/WatchRights",)
"""Methods of the registry that processes of the suite call, without the gateway."""

_REFLECTION = "/grpc.reflection."
_HEALTH = "/grpc.health.v1.Health/"
_MODEL = r"/v2/models/[^/]+(/versions/[^/]+)?"
_REST_REPEATABLE = (
    rf"{_MODEL}/(infer|generate)",
    r"/v2/repository(/[^/]+)?/index",
    r"(/v1)?/(tokenize|detokenize|rerank)|/v2/rerank|/v1/embeddings",
)
_REST_READS = (
    rf"{_MODEL}(/(ready|config|stats))?",
    r"/v2|/v2/models|/v2/health/(live|ready)",
    r"/openapi\.json|/docs",
    r"/v1/models(/[^/]+)?|/version|/health|/ping",
)
_REST_STREAM = rf"{_MODEL}/generate_stream"
_REST_TEXT = r"/v1/(chat/completions|completions|responses)"
"""Answered in one piece or as a stream, as the body says; repeated only where nothing of it was run."""
_DASHBOARD = ("/", "/login", "/api/statistics", "/api/series")
_CONSOLE_FILES = "/console/"
_FORMS = ("/login", "/logout")
_CONSOLE = "/api/v1/"
"""What the console reads and sends; a chat that is tried there is answered as a stream."""

_GRPC_FAILURES = "connect-failure,refused-stream,unavailable,reset"
_REST_FAILURES = "connect-failure,refused-stream,reset,retriable-status-codes"
_NOT_BEGUN = "connect-failure,refused-stream,retriable-status-codes"


_NOT_OFFERED: Message = {
    "match": {"prefix": "/"},
    "direct_response": {
        "status": 404,
        "body": {"inline_string": "this path is not offered here; call the service itself"},
    },
}


def routes(settings: Settings) -> list[Message]:
    """Every route, in the order in which they are tried; the last one refuses what fits none before it."""
    return list(_routes(settings))


def _routes(settings: Settings) -> Iterator[Message]:
    yield from _grpc_inference(settings, _retries(settings, _GRPC_FAILURES))
    yield from _rest_inference(settings, _retries(settings, _REST_FAILURES))
    for path in SERVICES_ALONE:
        yield {**_NOT_OFFERED, "match": {"path": path}}
    yield _stream(settings, {"prefix": "/headrace.registry.v1."}, REGISTRY)
    if settings.monitor_address:
        for name in (*QUERIES, "WatchStatistics"):
            path = f"/headrace.monitor.v1.MonitorService/{name}"
            yield _stream(settings, {"path": path}, MONITOR)
        for name in MONITOR_SERVICES:
            yield _stream(settings, {"prefix": f"/headrace.monitor.v1.{name}/"}, MONITOR)
    if settings.monitor_http_address:
        yield from _console(settings)
    yield _NOT_OFFERED


def _grpc_inference(settings: Settings, retries: Message | None) -> Iterator[Message]:
    for name in REPEATABLE:
        yield _route(settings, {"path": INFERENCE + name}, GRPC_REPLICAS, retries)
    yield _stream(settings, {"path": f"{INFERENCE}ModelStreamInfer"}, GRPC_REPLICAS)
    for name in TEXT_REPEATABLE:
        yield _route(settings, {"path": GENERATION + name}, GRPC_REPLICAS, retries)
    yield _stream(settings, {"path": f"{GENERATION}Generate"}, GRPC_REPLICAS)
    yield _route(settings, {"path": f"{_HEALTH}Check"}, GRPC_REPLICAS, retries)
    yield _stream(settings, {"prefix": _HEALTH}, GRPC_REPLICAS)
    yield _stream(settings, {"prefix": _REFLECTION}, GRPC_REPLICAS)


def _rest_inference(settings: Settings, retries: Message | None) -> Iterator[Message]:
    for pattern in _REST_REPEATABLE:
        yield _route(settings, _fits(pattern, "POST|OPTIONS"), REST_REPLICAS, retries)
    for pattern in _REST_READS:
        yield _route(settings, _fits(pattern, "GET|HEAD|OPTIONS"), REST_REPLICAS, retries)
    text = _fits(_REST_TEXT, "POST|OPTIONS")
    yield _route(settings, text, REST_REPLICAS, _retries(settings, _NOT_BEGUN))
    yield _stream(settings, _fits(_REST_STREAM, "POST|OPTIONS"), REST_REPLICAS)


def _console(settings: Settings) -> Iterator[Message]:
    for page in _DASHBOARD:
        yield _route(settings, {"path": page, **_method("GET|HEAD")}, DASHBOARD, None)
    yield _route(settings, {"prefix": _CONSOLE_FILES, **_method("GET|HEAD")}, DASHBOARD, None)
    for form in _FORMS:
        yield _route(settings, {"path": form, **_method("POST")}, DASHBOARD, None)
    yield _route(settings, {"prefix": _CONSOLE, **_method("GET|HEAD")}, DASHBOARD, None)
    yield _stream(settings, {"prefix": _CONSOLE, **_method("POST")}, DASHBOARD)


def _fits(pattern: str, methods: str) -> Message:
    return {"safe_regex": {"regex": pattern}, **_method(methods)}


def _method(methods: str) -> dict[str, object]:
    matches = {"safe_regex": {"regex": methods}}
    return {"headers": [{"name": ":method", "string_match": matches}]}


def _route(
    settings: Settings, match: Message, cluster: str, retries: Message | None
) -> dict[str, object]:
    """A call of one message, which the gateway holds until it is whole."""
    action: dict[str, object] = {
        "cluster": cluster,
        "timeout": "0s",  # otherwise 15 s; a caller's grpc-timeout holds
        "idle_timeout": seconds(settings.idle_seconds),
        "max_stream_duration": {"grpc_timeout_header_max": "0s"},
    }
    if retries is not None:
        action["retry_policy"] = retries
    # A request that is longer than this is not repeated.
    return {
        "match": match,
        "route": action,
        "request_body_buffer_limit": settings.max_request_bytes,
    }


def _stream(settings: Settings, match: Message, cluster: str) -> Message:
    """A call that may send and take messages for hours, and is never repeated."""
    unbuffered = typed("extensions.filters.http.buffer.v3.BufferPerRoute", disabled=True)
    return {
        **_route(settings, match, cluster, None),
        "typed_per_filter_config": {"envoy.filters.http.buffer": unbuffered},
    }


def _retries(settings: Settings, failures: str) -> Message | None:
    if not settings.retries:
        return None
    return {
        "retry_on": failures,
        "retriable_status_codes": [502, 503],
        "num_retries": settings.retries,
        "retry_host_predicate": [previous_hosts()],
        "host_selection_retry_max_attempts": 5,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.1s"},
    }
