"""What each identity is answered by each method and route: the table that the suite is held to.

Written by hand, not derived from the tables that it checks. A letter for each identity, in the order of
`IDENTITIES`: `U` for UNAUTHENTICATED or 401, `D` for PERMISSION_DENIED or 403, `.` for anything else: the
call passed, whatever came of it.
"""

from __future__ import annotations

from collections.abc import Mapping

IDENTITIES = ("nobody", "stranger", "caller", "owner", "viewer", "admin", "service")
"""`stranger` has a key and no grant, `caller` and `owner` those roles for the model `digits`, `viewer` and
`admin` theirs for all models, `service` is one of the suite's own."""

_OPEN = "......."
_KNOWN = "U......"
_INFER = "UD..D.D"
_READ = "UD....."
_READ_ALL = "UDDD..."
_PUSH = _DELETE = _ROUTE = _LABEL = "UDD.D.D"
_ADMIN = "UDDDD.D"
_SERVICE = "UDDDDD."

MODEL = "digits"
"""The model that requests name."""

_OIP = {
    "ServerLive": _OPEN,
    "ServerReady": _OPEN,
    "ServerMetadata": _KNOWN,
    "ModelReady": _READ,
    "ModelMetadata": _READ,
    "ModelConfig": _READ,
    "ModelStatistics": _READ,
    "ModelInfer": _INFER,
    "RepositoryIndex": _KNOWN,
    "RepositoryModelLoad": _ADMIN,
    "RepositoryModelUnload": _ADMIN,
    "SystemSharedMemoryStatus": _ADMIN,
    "SystemSharedMemoryRegister": _ADMIN,
    "SystemSharedMemoryUnregister": _ADMIN,
    "CudaSharedMemoryStatus": _ADMIN,
    "CudaSharedMemoryRegister": _ADMIN,
    "CudaSharedMemoryUnregister": _ADMIN,
    "TraceSetting": _ADMIN,
    "LogSettings": _ADMIN,
}

_GENERATION = {
    "Generate": _INFER,
    "Score": _INFER,
    "Embed": _INFER,
    "Rerank": _INFER,
    "Tokenize": _INFER,
    "Detokenize": _INFER,
}

_REGISTRY = {
    "CreateModel": _PUSH,
    "GetModel": _READ,
    "ListModels": _KNOWN,
    "UpdateModel": _PUSH,
    "DeleteModel": _DELETE,
    "PushVersion": _PUSH,
    "GetVersion": _READ,
    "ListVersions": _READ,
    "DeleteVersion": _DELETE,
    "ReadBlob": _READ,
    "GetAlias": _READ,
    "ListAliases": _READ,
    "UpdateAlias": _ROUTE,
    "BatchUpdateAliases": _ROUTE,
    "DeleteAlias": _ROUTE,
    "GetRoute": _READ,
    "UpdateRoute": _ROUTE,
    "ListReplicas": _READ,
    "WatchChanges": _READ,
    "ListChanges": _READ,
}

_REFERENCES = {
    "SetReference": _PUSH,
    "GetReference": _READ,
    "DeleteReference": _PUSH,
    "UpdateEnforcement": _PUSH,
}

_ANNOTATIONS = {
    "GetAnnotations": _READ,
    "UpdateAnnotations": _PUSH,
    "PutAttachment": _PUSH,
    "DeleteAttachment": _PUSH,
    "SearchVersions": _READ,
}

_MONITOR = {
    "ReportTelemetry": _SERVICE,
    "QueryStatistics": _READ,
    "WatchStatistics": _READ,
    "QuerySeries": _READ,
}

_ALERTS = {
    "ApplyRules": _ADMIN,
    "ListRules": _READ_ALL,
    "ListAlerts": _READ,
    "WatchAlerts": _READ,
    "AcknowledgeAlert": _KNOWN,
    "CreateSilence": _ADMIN,
    "ListSilences": _READ_ALL,
    "DeleteSilence": _ADMIN,
    "TestReceiver": _ADMIN,
    "ListObjectives": _READ,
}

_ACCESS = {
    "CreateApiKey": _ADMIN,
    "ListApiKeys": _ADMIN,
    "RotateApiKey": _ADMIN,
    "RevokeApiKey": _ADMIN,
    "CreateRole": _ADMIN,
    "UpdateRole": _ADMIN,
    "DeleteRole": _ADMIN,
    "ListRoles": _ADMIN,
    "ListBindings": _ADMIN,
    "UpdateBinding": _ADMIN,
    "GrantRole": _ADMIN,
    "RevokeRole": _ADMIN,
    "GetCaller": _KNOWN,
    "WatchRights": _SERVICE,
}

GRPC: Mapping[str, Mapping[str, str]] = {
    "inference.GRPCInferenceService": _OIP,
    "headrace.inference.v1.GenerationService": _GENERATION,
    "headrace.registry.v1.RegistryService": _REGISTRY,
    "headrace.registry.v1.AccessService": _ACCESS,
    "headrace.registry.v1.ReferenceService": _REFERENCES,
    "headrace.registry.v1.AnnotationService": _ANNOTATIONS,
    "headrace.monitor.v1.MonitorService": _MONITOR,
    "headrace.monitor.v1.PeerService": {"QueryTallies": _SERVICE},
    "headrace.monitor.v1.DriftService": {"QueryDrift": _READ, "ResetBaseline": _PUSH},
    "headrace.monitor.v1.QualityService": {"RecordLabels": _LABEL, "QueryQuality": _READ},
    "headrace.monitor.v1.AlertService": _ALERTS,
    "headrace.monitor.v1.ProfileService": {"QueryProfiles": _READ},
}
"""By service and method. ModelStreamInfer answers in its messages: it has tests of its own."""

REST: Mapping[tuple[str, str], str] = {
    ("GET", "/"): _KNOWN,
    ("GET", "/docs"): _KNOWN,
    ("GET", "/openapi.json"): _KNOWN,
    ("GET", "/version"): _KNOWN,
    ("GET", "/health"): _OPEN,
    ("GET", "/ping"): _OPEN,
    ("GET", "/v1/models"): _KNOWN,
    ("GET", "/v1/models/{id}"): _READ,
    ("POST", "/v1/chat/completions"): _INFER,
    ("POST", "/v1/completions"): _INFER,
    ("POST", "/v1/responses"): _INFER,
    ("POST", "/v1/embeddings"): _INFER,
    ("POST", "/rerank"): _INFER,
    ("POST", "/v1/rerank"): _INFER,
    ("POST", "/v2/rerank"): _INFER,
    ("POST", "/tokenize"): _INFER,
    ("POST", "/detokenize"): _INFER,
    ("POST", "/v1/tokenize"): _INFER,
    ("POST", "/v1/detokenize"): _INFER,
    ("GET", "/v2"): _KNOWN,
    ("GET", "/v2/health/live"): _OPEN,
    ("GET", "/v2/health/ready"): _OPEN,
    ("GET", "/v2/models"): _KNOWN,
    ("GET", "/v2/models/stats"): _KNOWN,
    ("POST", "/v2/repository/index"): _KNOWN,
    ("POST", "/v2/repository/{repository}/index"): _KNOWN,
    ("POST", "/v2/repository/models/{model}/load"): _ADMIN,
    ("POST", "/v2/repository/models/{model}/unload"): _ADMIN,
    ("GET", "/v2/logging"): _READ_ALL,
    ("POST", "/v2/logging"): _ADMIN,
    ("GET", "/v2/trace/setting"): _READ_ALL,
    ("POST", "/v2/trace/setting"): _ADMIN,
    ("GET", "/v2/models/{model}/trace/setting"): _READ,
    ("POST", "/v2/models/{model}/trace/setting"): _ADMIN,
    ("GET", "/v2/models/{model}"): _READ,
    ("GET", "/v2/models/{model}/ready"): _READ,
    ("GET", "/v2/models/{model}/config"): _READ,
    ("GET", "/v2/models/{model}/stats"): _READ,
    ("GET", "/v2/models/{model}/versions/{version}"): _READ,
    ("GET", "/v2/models/{model}/versions/{version}/ready"): _READ,
    ("GET", "/v2/models/{model}/versions/{version}/config"): _READ,
    ("GET", "/v2/models/{model}/versions/{version}/stats"): _READ,
    ("POST", "/v2/models/{model}/infer"): _INFER,
    ("POST", "/v2/models/{model}/generate"): _INFER,
    ("POST", "/v2/models/{model}/generate_stream"): _INFER,
    ("POST", "/v2/models/{model}/versions/{version}/infer"): _INFER,
    ("POST", "/v2/models/{model}/versions/{version}/generate"): _INFER,
    ("POST", "/v2/models/{model}/versions/{version}/generate_stream"): _INFER,
    ("POST", "/v2/systemsharedmemory/region/{region}/register"): _ADMIN,
    ("POST", "/v2/systemsharedmemory/region/{region}/unregister"): _ADMIN,
    ("POST", "/v2/systemsharedmemory/unregister"): _ADMIN,
    ("GET", "/v2/systemsharedmemory/region/{region}/status"): _ADMIN,
    ("GET", "/v2/systemsharedmemory/status"): _ADMIN,
    ("POST", "/v2/cudasharedmemory/region/{region}/register"): _ADMIN,
    ("POST", "/v2/cudasharedmemory/region/{region}/unregister"): _ADMIN,
    ("POST", "/v2/cudasharedmemory/unregister"): _ADMIN,
    ("GET", "/v2/cudasharedmemory/region/{region}/status"): _ADMIN,
    ("GET", "/v2/cudasharedmemory/status"): _ADMIN,
}
"""Of the replica's REST port, by verb and template."""

OPERATIONS: Mapping[tuple[str, str], str] = {
    ("GET", "/healthz"): _OPEN,
    ("GET", "/readyz"): _OPEN,
    ("GET", "/metrics"): _READ_ALL,
}
"""Of the ports of operations: of the registry, the monitor and the replica."""

CONSOLE: Mapping[tuple[str, str], str] = {
    ("GET", "/console/{digest}/{file}"): _KNOWN,
    ("GET", "/console/{digest}/vendor/{file}"): _KNOWN,
    ("GET", "/api/statistics"): _KNOWN,
    ("GET", "/api/series"): _KNOWN,
    ("GET", "/api/v1/me"): _KNOWN,
    ("GET", "/api/v1/overview"): _KNOWN,
    ("GET", "/api/v1/models"): _KNOWN,
    ("GET", "/api/v1/rates"): _KNOWN,
    ("GET", "/api/v1/replicas"): _KNOWN,
    ("GET", "/api/v1/alerts"): _KNOWN,
    ("POST", "/api/v1/alerts/{id}/acknowledge"): _KNOWN,
    ("GET", "/api/v1/silences"): _READ_ALL,
    ("POST", "/api/v1/silences"): _ADMIN,
    ("POST", "/api/v1/silences/{id}/end"): _ADMIN,
    ("GET", "/api/v1/models/{model}"): _READ,
    ("GET", "/api/v1/models/{model}/series"): _READ,
    ("GET", "/api/v1/models/{model}/quality"): _READ,
    ("GET", "/api/v1/models/{model}/drift"): _READ,
    ("GET", "/api/v1/models/{model}/requests"): _READ,
    ("POST", "/api/v1/models/{model}/labels"): _LABEL,
    ("GET", "/api/v1/models/{model}/audit"): _READ,
    ("GET", "/api/v1/models/{model}/calls"): _READ,
    ("GET", "/api/v1/models/{model}/annotations"): _READ,
    ("GET", "/api/v1/models/{model}/compare"): _READ,
    ("GET", "/api/v1/models/{model}/versions/{version}/attachment"): _READ,
    ("GET", "/api/v1/versions"): _KNOWN,
    ("GET", "/api/v1/models/{model}/profiles"): _READ,
    ("POST", "/api/v1/models/{model}/drift/reset"): _PUSH,
    ("GET", "/api/v1/alerts/rules"): _READ_ALL,
    ("GET", "/api/v1/objectives"): _KNOWN,
    ("GET", "/api/v1/audit"): _ADMIN,
    ("POST", "/api/v1/models/{model}/route"): _ROUTE,
    ("POST", "/api/v1/models/{model}/rollback"): _ROUTE,
    ("POST", "/api/v1/models/{model}/alias"): _ROUTE,
    ("POST", "/api/v1/models/{model}/infer"): _INFER,
    ("POST", "/api/v1/models/{model}/chat"): _INFER,
}
"""Of the monitor's port beside that."""
