"""The steps that each request takes at the edge before it is sent on."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.gateway.config.messages import Message, extension, typed
from headrace.gateway.settings import Settings

_HTTP = "extensions.filters.http."
_CORS_HEADERS = (
    "authorization",
    "content-type",
    "grpc-timeout",
    "traceparent",
    "x-grpc-web",
    "x-request-id",
    "x-user-agent",
)
_SHOWN_HEADERS = ("grpc-message", "grpc-status", "grpc-status-details-bin", "x-request-id")


def filters(settings: Settings) -> list[Message]:
    """The filters in their order: origins before all, so that a browser learns why it is refused."""
    return list(_filters(settings))


def _filters(settings: Settings) -> Iterator[Message]:
    if settings.cors_origins:
        yield extension("envoy.filters.http.cors", f"{_HTTP}cors.v3.Cors")
        yield extension("envoy.filters.http.grpc_web", f"{_HTTP}grpc_web.v3.GrpcWeb")
    if settings.max_requests_per_second:
        yield _rate_limit(settings.max_requests_per_second)
    size = settings.max_request_bytes
    yield extension("envoy.filters.http.buffer", f"{_HTTP}buffer.v3.Buffer", max_request_bytes=size)
    yield extension(
        "envoy.filters.http.router", f"{_HTTP}router.v3.Router", suppress_envoy_headers=True
    )


def cors_policy(settings: Settings) -> dict[str, object]:
    """The origins whose pages may call, as parts of a virtual host."""
    if not settings.cors_origins:
        return {}
    everywhere = "*" in settings.cors_origins
    origins = [{"exact": origin} for origin in settings.cors_origins if origin != "*"]
    policy = typed(
        f"{_HTTP}cors.v3.CorsPolicy",
        allow_origin_string_match=[{"safe_regex": {"regex": ".*"}}] if everywhere else origins,
        allow_methods="GET, POST, OPTIONS",
        allow_headers=", ".join(_CORS_HEADERS),
        expose_headers=", ".join(_SHOWN_HEADERS),
        max_age="600",
        allow_credentials=False,  # callers show a token, which a page has to have
    )
    return {"typed_per_filter_config": {"envoy.filters.http.cors": policy}}


def _rate_limit(per_second: int) -> Message:
    everything = {"default_value": {"numerator": 100}}
    return extension(
        "envoy.filters.http.local_ratelimit",
        f"{_HTTP}local_ratelimit.v3.LocalRateLimit",
        stat_prefix="edge",
        token_bucket={
            "max_tokens": per_second,
            "tokens_per_fill": per_second,
            "fill_interval": "1s",
        },
        filter_enabled=everything,
        filter_enforced=everything,
        rate_limited_as_resource_exhausted=True,
        enable_x_ratelimit_headers="DRAFT_VERSION_03",
    )
