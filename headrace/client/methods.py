"""The methods that the client calls: where each is, what it takes and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf import empty_pb2
from google.protobuf.message import DecodeError, Message

from headrace.inference import grpc_service_pb2 as inference
from headrace.inference.v1 import generation_service_pb2 as generation
from headrace.monitor.v1 import alert_service_pb2 as alerts
from headrace.monitor.v1 import drift_service_pb2 as drift
from headrace.monitor.v1 import monitor_service_pb2 as monitor
from headrace.monitor.v1 import profile_service_pb2 as profiles
from headrace.monitor.v1 import quality_service_pb2 as quality
from headrace.registry.v1 import (
    access_pb2,
    alias_pb2,
    annotation_pb2,
    model_pb2,
    reference_pb2,
    route_pb2,
    version_pb2,
)
from headrace.registry.v1 import access_service_pb2 as access
from headrace.registry.v1 import annotation_service_pb2 as annotating
from headrace.registry.v1 import reference_service_pb2 as references
from headrace.registry.v1 import registry_service_pb2 as registry

Request = TypeVar("Request")
Response = TypeVar("Response")
_Sent = TypeVar("_Sent", bound=Message)
_Got = TypeVar("_Got", bound=Message)


class Undecodable:
    """Stands for an answer whose bytes are no message of its type.

    gRPC itself would log a traceback, and hand out None (grpc.aio) or say INTERNAL (grpc).
    """


UNDECODABLE = Undecodable()


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Response]):
    """A method by its path, and how its messages become bytes and back."""

    path: str
    serialize: Callable[[Request], bytes]
    parse: Callable[[bytes], Response | Undecodable]
    messages: tuple[str, str]
    """The full names of what it takes and gives."""


def _method(service: str, name: str, sent: type[_Sent], got: type[_Got]) -> Method[_Sent, _Got]:
    def parse(data: bytes) -> _Got | Undecodable:
        try:
            return got.FromString(data)
        except DecodeError:
            return UNDECODABLE

    messages = sent.DESCRIPTOR.full_name, got.DESCRIPTOR.full_name
    return Method(f"/{service}/{name}", sent.SerializeToString, parse, messages)


_REGISTRY = "headrace.registry.v1.RegistryService"
_ACCESS = "headrace.registry.v1.AccessService"
_REFERENCES = "headrace.registry.v1.ReferenceService"
_ANNOTATIONS = "headrace.registry.v1.AnnotationService"
_MONITOR = "headrace.monitor.v1.MonitorService"
_DRIFT = "headrace.monitor.v1.DriftService"
_QUALITY = "headrace.monitor.v1.QualityService"
_ALERTS = "headrace.monitor.v1.AlertService"
_PROFILES = "headrace.monitor.v1.ProfileService"
_INFERENCE = "inference.GRPCInferenceService"
_GENERATION = "headrace.inference.v1.GenerationService"

# All methods of the services, written by `make pages` from the protos.

CREATE_MODEL = _method(_REGISTRY, "CreateModel", registry.CreateModelRequest, model_pb2.Model)
GET_MODEL = _method(_REGISTRY, "GetModel", registry.GetModelRequest, model_pb2.Model)
LIST_MODELS = _method(
    _REGISTRY, "ListModels", registry.ListModelsRequest, registry.ListModelsResponse
)
UPDATE_MODEL = _method(_REGISTRY, "UpdateModel", registry.UpdateModelRequest, model_pb2.Model)
DELETE_MODEL = _method(_REGISTRY, "DeleteModel", registry.DeleteModelRequest, empty_pb2.Empty)
PUSH_VERSION = _method(_REGISTRY, "PushVersion", registry.PushVersionRequest, version_pb2.Version)
GET_VERSION = _method(_REGISTRY, "GetVersion", registry.GetVersionRequest, version_pb2.Version)
LIST_VERSIONS = _method(
    _REGISTRY, "ListVersions", registry.ListVersionsRequest, registry.ListVersionsResponse
)
DELETE_VERSION = _method(_REGISTRY, "DeleteVersion", registry.DeleteVersionRequest, empty_pb2.Empty)
READ_BLOB = _method(_REGISTRY, "ReadBlob", registry.ReadBlobRequest, registry.ReadBlobResponse)
GET_ALIAS = _method(_REGISTRY, "GetAlias", registry.GetAliasRequest, alias_pb2.Alias)
LIST_ALIASES = _method(
    _REGISTRY, "ListAliases", registry.ListAliasesRequest, registry.ListAliasesResponse
)
UPDATE_ALIAS = _method(_REGISTRY, "UpdateAlias", registry.UpdateAliasRequest, alias_pb2.Alias)
BATCH_UPDATE_ALIASES = _method(
    _REGISTRY,
    "BatchUpdateAliases",
    registry.BatchUpdateAliasesRequest,
    registry.BatchUpdateAliasesResponse,
)
DELETE_ALIAS = _method(_REGISTRY, "DeleteAlias", registry.DeleteAliasRequest, empty_pb2.Empty)
GET_ROUTE = _method(_REGISTRY, "GetRoute", registry.GetRouteRequest, route_pb2.Route)
UPDATE_ROUTE = _method(_REGISTRY, "UpdateRoute", registry.UpdateRouteRequest, route_pb2.Route)
LIST_REPLICAS = _method(
    _REGISTRY, "ListReplicas", registry.ListReplicasRequest, registry.ListReplicasResponse
)
WATCH_CHANGES = _method(
    _REGISTRY, "WatchChanges", registry.WatchChangesRequest, registry.WatchChangesResponse
)
LIST_CHANGES = _method(
    _REGISTRY, "ListChanges", registry.ListChangesRequest, registry.ListChangesResponse
)

CREATE_API_KEY = _method(
    _ACCESS, "CreateApiKey", access.CreateApiKeyRequest, access.CreateApiKeyResponse
)
LIST_API_KEYS = _method(
    _ACCESS, "ListApiKeys", access.ListApiKeysRequest, access.ListApiKeysResponse
)
ROTATE_API_KEY = _method(
    _ACCESS, "RotateApiKey", access.RotateApiKeyRequest, access.RotateApiKeyResponse
)
REVOKE_API_KEY = _method(_ACCESS, "RevokeApiKey", access.RevokeApiKeyRequest, access_pb2.ApiKey)
CREATE_ROLE = _method(_ACCESS, "CreateRole", access.CreateRoleRequest, access_pb2.Role)
UPDATE_ROLE = _method(_ACCESS, "UpdateRole", access.UpdateRoleRequest, access_pb2.Role)
DELETE_ROLE = _method(_ACCESS, "DeleteRole", access.DeleteRoleRequest, empty_pb2.Empty)
LIST_ROLES = _method(_ACCESS, "ListRoles", access.ListRolesRequest, access.ListRolesResponse)
LIST_BINDINGS = _method(
    _ACCESS, "ListBindings", access.ListBindingsRequest, access.ListBindingsResponse
)
UPDATE_BINDING = _method(_ACCESS, "UpdateBinding", access.UpdateBindingRequest, access_pb2.Binding)
GRANT_ROLE = _method(_ACCESS, "GrantRole", access.GrantRoleRequest, access_pb2.Binding)
REVOKE_ROLE = _method(_ACCESS, "RevokeRole", access.RevokeRoleRequest, access_pb2.Binding)
GET_CALLER = _method(_ACCESS, "GetCaller", access.GetCallerRequest, access.GetCallerResponse)
WATCH_RIGHTS = _method(
    _ACCESS, "WatchRights", access.WatchRightsRequest, access.WatchRightsResponse
)

SET_REFERENCE = _method(
    _REFERENCES, "SetReference", references.SetReferenceRequest, reference_pb2.VersionReference
)
GET_REFERENCE = _method(
    _REFERENCES, "GetReference", references.GetReferenceRequest, reference_pb2.VersionReference
)
DELETE_REFERENCE = _method(
    _REFERENCES, "DeleteReference", references.DeleteReferenceRequest, empty_pb2.Empty
)
UPDATE_ENFORCEMENT = _method(
    _REFERENCES,
    "UpdateEnforcement",
    references.UpdateEnforcementRequest,
    reference_pb2.VersionReference,
)

GET_ANNOTATIONS = _method(
    _ANNOTATIONS,
    "GetAnnotations",
    annotating.GetAnnotationsRequest,
    annotation_pb2.VersionAnnotations,
)
UPDATE_ANNOTATIONS = _method(
    _ANNOTATIONS,
    "UpdateAnnotations",
    annotating.UpdateAnnotationsRequest,
    annotation_pb2.VersionAnnotations,
)
PUT_ATTACHMENT = _method(
    _ANNOTATIONS,
    "PutAttachment",
    annotating.PutAttachmentRequest,
    annotation_pb2.VersionAnnotations,
)
DELETE_ATTACHMENT = _method(
    _ANNOTATIONS,
    "DeleteAttachment",
    annotating.DeleteAttachmentRequest,
    annotation_pb2.VersionAnnotations,
)
SEARCH_VERSIONS = _method(
    _ANNOTATIONS,
    "SearchVersions",
    annotating.SearchVersionsRequest,
    annotating.SearchVersionsResponse,
)

REPORT_TELEMETRY = _method(
    _MONITOR, "ReportTelemetry", monitor.ReportTelemetryRequest, monitor.ReportTelemetryResponse
)
QUERY_STATISTICS = _method(
    _MONITOR, "QueryStatistics", monitor.QueryStatisticsRequest, monitor.QueryStatisticsResponse
)
WATCH_STATISTICS = _method(
    _MONITOR, "WatchStatistics", monitor.WatchStatisticsRequest, monitor.QueryStatisticsResponse
)
QUERY_SERIES = _method(
    _MONITOR, "QuerySeries", monitor.QuerySeriesRequest, monitor.QuerySeriesResponse
)

QUERY_DRIFT = _method(_DRIFT, "QueryDrift", drift.QueryDriftRequest, drift.QueryDriftResponse)
RESET_BASELINE = _method(
    _DRIFT, "ResetBaseline", drift.ResetBaselineRequest, drift.ResetBaselineResponse
)

RECORD_LABELS = _method(
    _QUALITY, "RecordLabels", quality.RecordLabelsRequest, quality.RecordLabelsResponse
)
QUERY_QUALITY = _method(
    _QUALITY, "QueryQuality", quality.QueryQualityRequest, quality.QueryQualityResponse
)

APPLY_RULES = _method(_ALERTS, "ApplyRules", alerts.ApplyRulesRequest, alerts.ApplyRulesResponse)
LIST_RULES = _method(_ALERTS, "ListRules", alerts.ListRulesRequest, alerts.ListRulesResponse)
LIST_ALERTS = _method(_ALERTS, "ListAlerts", alerts.ListAlertsRequest, alerts.ListAlertsResponse)
WATCH_ALERTS = _method(
    _ALERTS, "WatchAlerts", alerts.WatchAlertsRequest, alerts.WatchAlertsResponse
)
ACKNOWLEDGE_ALERT = _method(
    _ALERTS, "AcknowledgeAlert", alerts.AcknowledgeAlertRequest, alerts.Alert
)
CREATE_SILENCE = _method(_ALERTS, "CreateSilence", alerts.CreateSilenceRequest, alerts.Silence)
LIST_SILENCES = _method(
    _ALERTS, "ListSilences", alerts.ListSilencesRequest, alerts.ListSilencesResponse
)
DELETE_SILENCE = _method(
    _ALERTS, "DeleteSilence", alerts.DeleteSilenceRequest, alerts.DeleteSilenceResponse
)
TEST_RECEIVER = _method(
    _ALERTS, "TestReceiver", alerts.TestReceiverRequest, alerts.TestReceiverResponse
)
LIST_OBJECTIVES = _method(
    _ALERTS, "ListObjectives", alerts.ListObjectivesRequest, alerts.ListObjectivesResponse
)

QUERY_PROFILES = _method(
    _PROFILES, "QueryProfiles", profiles.QueryProfilesRequest, profiles.QueryProfilesResponse
)

SERVER_LIVE = _method(
    _INFERENCE, "ServerLive", inference.ServerLiveRequest, inference.ServerLiveResponse
)
SERVER_READY = _method(
    _INFERENCE, "ServerReady", inference.ServerReadyRequest, inference.ServerReadyResponse
)
MODEL_READY = _method(
    _INFERENCE, "ModelReady", inference.ModelReadyRequest, inference.ModelReadyResponse
)
SERVER_METADATA = _method(
    _INFERENCE, "ServerMetadata", inference.ServerMetadataRequest, inference.ServerMetadataResponse
)
MODEL_METADATA = _method(
    _INFERENCE, "ModelMetadata", inference.ModelMetadataRequest, inference.ModelMetadataResponse
)
MODEL_INFER = _method(
    _INFERENCE, "ModelInfer", inference.ModelInferRequest, inference.ModelInferResponse
)
MODEL_STREAM_INFER = _method(
    _INFERENCE, "ModelStreamInfer", inference.ModelInferRequest, inference.ModelStreamInferResponse
)
MODEL_CONFIG = _method(
    _INFERENCE, "ModelConfig", inference.ModelConfigRequest, inference.ModelConfigResponse
)
MODEL_STATISTICS = _method(
    _INFERENCE,
    "ModelStatistics",
    inference.ModelStatisticsRequest,
    inference.ModelStatisticsResponse,
)
REPOSITORY_INDEX = _method(
    _INFERENCE,
    "RepositoryIndex",
    inference.RepositoryIndexRequest,
    inference.RepositoryIndexResponse,
)
REPOSITORY_MODEL_LOAD = _method(
    _INFERENCE,
    "RepositoryModelLoad",
    inference.RepositoryModelLoadRequest,
    inference.RepositoryModelLoadResponse,
)
REPOSITORY_MODEL_UNLOAD = _method(
    _INFERENCE,
    "RepositoryModelUnload",
    inference.RepositoryModelUnloadRequest,
    inference.RepositoryModelUnloadResponse,
)
SYSTEM_SHARED_MEMORY_STATUS = _method(
    _INFERENCE,
    "SystemSharedMemoryStatus",
    inference.SystemSharedMemoryStatusRequest,
    inference.SystemSharedMemoryStatusResponse,
)
SYSTEM_SHARED_MEMORY_REGISTER = _method(
    _INFERENCE,
    "SystemSharedMemoryRegister",
    inference.SystemSharedMemoryRegisterRequest,
    inference.SystemSharedMemoryRegisterResponse,
)
SYSTEM_SHARED_MEMORY_UNREGISTER = _method(
    _INFERENCE,
    "SystemSharedMemoryUnregister",
    inference.SystemSharedMemoryUnregisterRequest,
    inference.SystemSharedMemoryUnregisterResponse,
)
CUDA_SHARED_MEMORY_STATUS = _method(
    _INFERENCE,
    "CudaSharedMemoryStatus",
    inference.CudaSharedMemoryStatusRequest,
    inference.CudaSharedMemoryStatusResponse,
)
CUDA_SHARED_MEMORY_REGISTER = _method(
    _INFERENCE,
    "CudaSharedMemoryRegister",
    inference.CudaSharedMemoryRegisterRequest,
    inference.CudaSharedMemoryRegisterResponse,
)
CUDA_SHARED_MEMORY_UNREGISTER = _method(
    _INFERENCE,
    "CudaSharedMemoryUnregister",
    inference.CudaSharedMemoryUnregisterRequest,
    inference.CudaSharedMemoryUnregisterResponse,
)
TRACE_SETTING = _method(
    _INFERENCE, "TraceSetting", inference.TraceSettingRequest, inference.TraceSettingResponse
)
LOG_SETTINGS = _method(
    _INFERENCE, "LogSettings", inference.LogSettingsRequest, inference.LogSettingsResponse
)

GENERATE = _method(_GENERATION, "Generate", generation.GenerateRequest, generation.GenerateResponse)
SCORE = _method(_GENERATION, "Score", generation.ScoreRequest, generation.ScoreResponse)
EMBED = _method(_GENERATION, "Embed", generation.EmbedRequest, generation.EmbedResponse)
RERANK = _method(_GENERATION, "Rerank", generation.RerankRequest, generation.RerankResponse)
TOKENIZE = _method(_GENERATION, "Tokenize", generation.TokenizeRequest, generation.TokenizeResponse)
DETOKENIZE = _method(
    _GENERATION, "Detokenize", generation.DetokenizeRequest, generation.DetokenizeResponse
)
