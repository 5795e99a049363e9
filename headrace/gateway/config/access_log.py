"""The access log: one JSON object a request, with ids to find it elsewhere and without what is secret."""

from __future__ import annotations

from headrace.gateway.config.messages import Message, extension
from headrace.gateway.settings import Settings

FIELDS: Message = {
    "time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%PATH(NQ)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS(CAMEL_STRING)%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "milliseconds": "%DURATION%",
    "service_milliseconds": "%RESPONSE_DURATION%",
    "received_bytes": "%BYTES_RECEIVED%",
    "sent_bytes": "%BYTES_SENT%",
    "service": "%UPSTREAM_CLUSTER%",
    "host": "%UPSTREAM_HOST%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "peer": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "certificate": "%DOWNSTREAM_PEER_URI_SAN%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "trace_id": "%TRACE_ID%",
    "traceparent": "%REQ(TRACEPARENT)%",
    "user_agent": "%REQ(USER-AGENT)%",
}
"""The fields by name. The path is without its query, which may say anything."""


def access_log(settings: Settings) -> list[Message]:
    """The log that the settings ask for, if any."""
    if settings.access_log == "off":
        return []
    log = _writer(settings, {"json_format": FIELDS, "omit_empty_values": True})
    return [log | ({"filter": _ERRORS} if settings.access_log == "errors" else {})]


def _writer(settings: Settings, form: Message) -> dict[str, object]:
    kinds = "extensions.access_loggers."
    if settings.access_log_file is None:
        kind = f"{kinds}stream.v3.StderrAccessLog"
        return extension("envoy.access_loggers.stderr", kind, log_format=form)
    kind, path = f"{kinds}file.v3.FileAccessLog", str(settings.access_log_file.absolute())
    return extension("envoy.access_loggers.file", kind, path=path, log_format=form)


_ERRORS: Message = {
    "or_filter": {
        "filters": [
            {
                "status_code_filter": {
                    "comparison": {
                        "op": "GE",
                        "value": {"default_value": 400, "runtime_key": "headrace.least_logged"},
                    }
                }
            },
            # A call of gRPC fails with the status 200; whoever is no gRPC has no such status, which is OK.
            {"grpc_status_filter": {"statuses": ["OK"], "exclude": True}},
        ]
    }
}
