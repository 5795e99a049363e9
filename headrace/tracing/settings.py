"""Settings of traces and metrics over OTLP, the same in every service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class OtlpSettings:
    """Where traces go, and which calls have one."""

    otlp_endpoint: str = ""
    """The address of an OpenTelemetry collector, http://HOST:4317 or https://; spans, and from the monitor
    metrics, are sent there (pip install 'headrace[otel]'). Headers and certificates are those of the
    environment's OTEL_EXPORTER_OTLP_HEADERS and OTEL_EXPORTER_OTLP_CERTIFICATE."""
    otlp_protocol: Literal["grpc", "http"] = "grpc"
    """The form of OTLP; http is protobuf to /v1/traces and /v1/metrics of the address, mostly port 4318."""
    otlp_trace_share: float = 0.01
    """The share of calls without a traceparent that begin a trace, from 0 to 1. A caller's traceparent
    decides for its own."""

    def otlp_problems(self) -> Iterator[str]:
        """Every one of these settings that cannot be, and why."""
        if not 0 <= self.otlp_trace_share <= 1:
            yield f"--otlp-trace-share must be from 0 to 1, not {self.otlp_trace_share}"
        if self.otlp_endpoint:
            parts = urlsplit(self.otlp_endpoint)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                yield "--otlp-endpoint must be a URL such as http://collector:4317"
