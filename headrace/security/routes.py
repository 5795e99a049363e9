"""The table of HTTP routes: what it takes to ask for each. A route without a row is refused.

The same path asks for the same on every port. A test walks the routers of all processes and compares
them with the table.
"""

from __future__ import annotations

from collections.abc import Mapping

from headrace.security.verbs import KNOWN, OPEN, Permission, Scope, Verb

MODEL_NAME = "model"
"""The name in a template that stands for a model."""

_READ = Permission(Scope.MODEL, Verb.READ)
_INFER = Permission(Scope.MODEL, Verb.INFER)
_INFER_CONTENT = Permission(Scope.CONTENT, Verb.INFER)
_ROUTE = Permission(Scope.MODEL, Verb.ROUTE)
_CONTROL = Permission(Scope.MODEL, Verb.ADMIN)
_LISTED = Permission(Scope.FILTERED, Verb.READ)
_ADMIN = Permission(Scope.EVERYTHING, Verb.ADMIN)
_READ_ALL = Permission(Scope.EVERYTHING, Verb.READ)

_MODEL_PATHS = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
_MEMORY_PATHS = ("/v2/systemsharedmemory", "/v2/cudasharedmemory")

ROUTES: Mapping[tuple[str, str], Permission] = {
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): _READ_ALL,
    ("GET", "/"): KNOWN,
    ("GET", "/docs"): KNOWN,
    ("GET", "/openapi.json"): KNOWN,
    ("GET", "/login"): OPEN,
    ("POST", "/login"): OPEN,
    ("POST", "/logout"): OPEN,
    ("GET", "/console/{digest}/{file}"): KNOWN,
    ("GET", "/console/{digest}/vendor/{file}"): KNOWN,
    ("GET", "/api/statistics"): _LISTED,
    ("GET", "/api/series"): _LISTED,
    ("GET", "/api/v1/me"): KNOWN,
    **{("GET", f"/api/v1/{path}"): _LISTED for path in ("overview", "models", "rates", "replicas")},
    **{
        ("GET", f"/api/v1/models/{{model}}{part}"): _READ
        for part in ("", "/series", "/audit", "/calls", "/annotations", "/compare")
    },
    ("GET", "/api/v1/models/{model}/versions/{version}/attachment"): _READ,
    ("GET", "/api/v1/versions"): _LISTED,
    ("GET", "/api/v1/models/{model}/quality"): _READ,
    ("GET", "/api/v1/models/{model}/drift"): _READ,
    ("GET", "/api/v1/models/{model}/requests"): _READ,
    ("POST", "/api/v1/models/{model}/labels"): Permission(Scope.MODEL, Verb.LABEL),
    ("GET", "/api/v1/models/{model}/profiles"): _READ,
    ("POST", "/api/v1/models/{model}/drift/reset"): Permission(Scope.MODEL, Verb.PUSH),
    ("GET", "/api/v1/alerts"): _LISTED,
    ("GET", "/api/v1/alerts/rules"): _READ_ALL,
    ("GET", "/api/v1/objectives"): _LISTED,
    (
        "POST",
        "/api/v1/alerts/{id}/acknowledge",
    ): _LISTED,  # the alert's model is found, then asked for
    ("GET", "/api/v1/silences"): _READ_ALL,
    ("POST", "/api/v1/silences"): _ADMIN,
    ("POST", "/api/v1/silences/{id}/end"): _ADMIN,
    ("GET", "/api/v1/audit"): _ADMIN,
    **{
        ("POST", f"/api/v1/models/{{model}}/{change}"): _ROUTE
        for change in ("route", "rollback", "alias")
    },
    **{("POST", f"/api/v1/models/{{model}}/{trial}"): _INFER for trial in ("infer", "chat")},
    ("GET", "/version"): KNOWN,
    ("GET", "/health"): OPEN,
    ("GET", "/ping"): OPEN,
    ("GET", "/v1/models"): _LISTED,
    ("GET", "/v1/models/{id}"): _LISTED,
    **{
        ("POST", path): _INFER_CONTENT
        for path in (
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/responses",
            "/v1/embeddings",
            "/rerank",
            "/v1/rerank",
            "/v2/rerank",
            "/tokenize",
            "/detokenize",
            "/v1/tokenize",
            "/v1/detokenize",
        )
    },
    ("GET", "/v2"): KNOWN,
    ("GET", "/v2/health/live"): OPEN,
    ("GET", "/v2/health/ready"): OPEN,
    ("GET", "/v2/models"): _LISTED,
    ("GET", "/v2/models/stats"): _LISTED,
    ("POST", "/v2/repository/index"): _LISTED,
    ("POST", "/v2/repository/{repository}/index"): _LISTED,
    ("POST", "/v2/repository/models/{model}/load"): _CONTROL,
    ("POST", "/v2/repository/models/{model}/unload"): _CONTROL,
    ("GET", "/v2/logging"): _READ_ALL,
    ("POST", "/v2/logging"): _ADMIN,
    ("GET", "/v2/trace/setting"): _READ_ALL,
    ("POST", "/v2/trace/setting"): _ADMIN,
    ("GET", "/v2/models/{model}/trace/setting"): _READ,
    ("POST", "/v2/models/{model}/trace/setting"): _CONTROL,
    **{
        ("GET", f"{path}{rest}"): _READ
        for path in _MODEL_PATHS
        for rest in ("", "/ready", "/config", "/stats")
    },
    **{
        ("POST", f"{path}/{run}"): _INFER
        for path in _MODEL_PATHS
        for run in ("infer", "generate", "generate_stream")
    },
    **{("POST", f"{path}/region/{{region}}/register"): _ADMIN for path in _MEMORY_PATHS},
    **{
        (verb, f"{path}{region}/{act}"): _ADMIN
        for path in _MEMORY_PATHS
        for region in ("", "/region/{region}")
        for verb, act in (("GET", "status"), ("POST", "unregister"))
    },
}
"""By verb and template. HEAD takes what GET does."""
