"""The table of gRPC methods: what it takes to call each. A method without a row is refused.

A test walks the descriptors of all services and compares them with the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.security.model_names import model_in
from headrace.security.verbs import KNOWN, OPEN, Permission, Scope, Verb

Names = Callable[[Any], Iterable[str]]
"""The names in a request that lead to models; '' where it names none."""


def _no_names(_: Any) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class MethodRule:
    """What it takes to call a method.

    `first_only`: of a stream of requests the first says what all are about.
    `read_only` tells requests that change nothing: they take `read`. `further` are verbs that a request
    takes besides, for the same models.
    """

    permission: Permission
    names: Names = _no_names
    first_only: bool = False
    read_only: Callable[[Any], bool] | None = None
    further: Callable[[Any], Iterable[Verb]] | None = None

    def permissions_for(self, request: Any) -> tuple[Permission, ...]:
        """Return what this request takes."""
        if self.read_only is not None and self.read_only(request):
            return (Permission(self.permission.scope, Verb.READ),)
        more = self.further(request) if self.further is not None else ()
        return (self.permission, *(Permission(self.permission.scope, verb) for verb in more))

    def models(self, request: Any) -> tuple[str, ...]:
        """Return the models that a request names; ('',) where it could, and names none."""
        return tuple(model_in(name) for name in self.names(request))


def _on(verb: Verb, names: Names, scope: Scope = Scope.MODEL, **more: Any) -> MethodRule:
    return MethodRule(Permission(scope, verb), names, **more)


def _everywhere(verb: Verb, **more: Any) -> MethodRule:
    return MethodRule(Permission(Scope.EVERYTHING, verb), **more)


def _name(request: Any) -> Iterable[str]:
    return (request.name,)


def _parent(request: Any) -> Iterable[str]:
    return (request.parent,)


def _model_name(request: Any) -> Iterable[str]:
    return (request.model_name,)


def _model(request: Any) -> Iterable[str]:
    return (request.model,)


def _has_no_settings(request: Any) -> bool:
    return not request.settings


def _to_gate(request: Any) -> Iterable[Verb]:
    """A gate decides what callers get, as a route does."""
    mask = getattr(request, "update_mask", None)
    sets_gate = request.model.HasField("gate") and not (mask and mask.paths)
    return (Verb.ROUTE,) if sets_gate or (mask and "gate" in mask.paths) else ()


_FILTERED = MethodRule(Permission(Scope.FILTERED, Verb.READ))

_INFERENCE: Mapping[str, MethodRule] = {
    "ServerLive": MethodRule(OPEN),
    "ServerReady": MethodRule(OPEN),
    "ServerMetadata": MethodRule(KNOWN),
    "ModelReady": _on(Verb.READ, _name),
    "ModelMetadata": _on(Verb.READ, _name),
    "ModelConfig": _on(Verb.READ, _name),
    "ModelStatistics": _on(Verb.READ, _name, Scope.FILTERED),
    "ModelInfer": _on(Verb.INFER, _model_name),
    "ModelStreamInfer": _on(Verb.INFER, _model_name),
    "RepositoryIndex": _FILTERED,
    "RepositoryModelLoad": _on(Verb.ADMIN, _model_name),
    "RepositoryModelUnload": _on(Verb.ADMIN, _model_name),
    "SystemSharedMemoryStatus": _everywhere(Verb.ADMIN),
    "SystemSharedMemoryRegister": _everywhere(Verb.ADMIN),
    "SystemSharedMemoryUnregister": _everywhere(Verb.ADMIN),
    "CudaSharedMemoryStatus": _everywhere(Verb.ADMIN),
    "CudaSharedMemoryRegister": _everywhere(Verb.ADMIN),
    "CudaSharedMemoryUnregister": _everywhere(Verb.ADMIN),
    "TraceSetting": _on(Verb.ADMIN, _model_name, read_only=_has_no_settings),
    "LogSettings": _everywhere(Verb.ADMIN, read_only=_has_no_settings),
}

_GENERATION: Mapping[str, MethodRule] = {
    method: _on(Verb.INFER, _model)
    for method in ("Generate", "Score", "Embed", "Rerank", "Tokenize", "Detokenize")
}

_REGISTRY: Mapping[str, MethodRule] = {
    "CreateModel": _on(Verb.PUSH, lambda request: (request.model.name,), further=_to_gate),
    "GetModel": _on(Verb.READ, _name),
    "ListModels": _FILTERED,
    "UpdateModel": _on(Verb.PUSH, lambda request: (request.model.name,), further=_to_gate),
    "DeleteModel": _on(Verb.DELETE, _name),
    "PushVersion": _on(
        Verb.PUSH,
        lambda request: (request.header.parent,),
        first_only=True,
        further=lambda request: (Verb.ROUTE,) if request.header.alias else (),
    ),
    "GetVersion": _on(Verb.READ, _name),
    "ListVersions": _on(Verb.READ, _parent),
    "DeleteVersion": _on(Verb.DELETE, _name),
    "ReadBlob": MethodRule(Permission(Scope.CONTENT, Verb.READ)),
    "GetAlias": _on(Verb.READ, _name),
    "ListAliases": _on(Verb.READ, _parent),
    "UpdateAlias": _on(Verb.ROUTE, lambda request: (request.alias.name,)),
    "BatchUpdateAliases": _on(
        Verb.ROUTE,
        lambda request: (request.parent, *(each.alias.name for each in request.requests)),
    ),
    "DeleteAlias": _on(Verb.ROUTE, _name),
    "GetRoute": _on(Verb.READ, _name),
    "UpdateRoute": _on(Verb.ROUTE, lambda request: (request.route.name,)),
    "ListReplicas": _on(Verb.READ, _model, Scope.FILTERED),
    "WatchChanges": _on(Verb.READ, _model, Scope.FILTERED),
    "ListChanges": _on(
        Verb.READ, _model, further=lambda request: () if request.model else (Verb.ADMIN,)
    ),
}

_ACCESS: Mapping[str, MethodRule] = {
    **{
        method: _everywhere(Verb.ADMIN)
        for method in (
            *("CreateApiKey", "ListApiKeys", "RotateApiKey", "RevokeApiKey"),
            *("CreateRole", "UpdateRole", "DeleteRole", "ListRoles"),
            *("ListBindings", "UpdateBinding", "GrantRole", "RevokeRole"),
        )
    },
    "GetCaller": MethodRule(KNOWN),
    "WatchRights": _everywhere(Verb.SERVICE),
}

_REFERENCES: Mapping[str, MethodRule] = {
    "SetReference": _on(Verb.PUSH, _parent),
    "GetReference": _on(Verb.READ, _name),
    "DeleteReference": _on(Verb.PUSH, _name),
    "UpdateEnforcement": _on(Verb.PUSH, _name),
}

_ANNOTATIONS: Mapping[str, MethodRule] = {
    "GetAnnotations": _on(Verb.READ, _name),
    "UpdateAnnotations": _on(Verb.PUSH, _name),
    "PutAttachment": _on(Verb.PUSH, lambda request: (request.header.name,), first_only=True),
    "DeleteAttachment": _on(Verb.PUSH, _name),
    "SearchVersions": _on(Verb.READ, _parent, Scope.FILTERED),
}

_DRIFT: Mapping[str, MethodRule] = {
    "QueryDrift": _on(Verb.READ, _model),
    "ResetBaseline": _on(Verb.PUSH, _model),
}

_QUALITY: Mapping[str, MethodRule] = {
    "RecordLabels": _on(Verb.LABEL, _model, first_only=True),
    "QueryQuality": _on(Verb.READ, _model, Scope.FILTERED),
}

_PROFILES: Mapping[str, MethodRule] = {
    "QueryProfiles": _on(Verb.READ, _model),
}

_MONITOR: Mapping[str, MethodRule] = {
    "ReportTelemetry": _everywhere(Verb.SERVICE),
    "QueryStatistics": _on(Verb.READ, _model, Scope.FILTERED),
    "WatchStatistics": _on(Verb.READ, lambda request: (request.query.model,), Scope.FILTERED),
    "QuerySeries": _on(Verb.READ, lambda request: (request.query.model,), Scope.FILTERED),
}

_PEERS: Mapping[str, MethodRule] = {
    "QueryTallies": _everywhere(Verb.SERVICE),
}

_ALERTS: Mapping[str, MethodRule] = {
    "ApplyRules": _everywhere(Verb.ADMIN),
    "ListRules": _everywhere(Verb.READ),
    "ListAlerts": _on(Verb.READ, _model, Scope.FILTERED),
    "WatchAlerts": _on(Verb.READ, _model, Scope.FILTERED),
    "AcknowledgeAlert": _FILTERED,  # the alert's model is not in the request: the servicer asks
    "CreateSilence": _everywhere(Verb.ADMIN),
    "ListSilences": _everywhere(Verb.READ),
    "DeleteSilence": _everywhere(Verb.ADMIN),
    "TestReceiver": _everywhere(Verb.ADMIN),
    "ListObjectives": _on(Verb.READ, _model, Scope.FILTERED),
}

_SERVICES: Mapping[str, Mapping[str, MethodRule]] = {
    "inference.GRPCInferenceService": _INFERENCE,
    "headrace.inference.v1.GenerationService": _GENERATION,
    "headrace.registry.v1.RegistryService": _REGISTRY,
    "headrace.registry.v1.AccessService": _ACCESS,
    "headrace.registry.v1.ReferenceService": _REFERENCES,
    "headrace.registry.v1.AnnotationService": _ANNOTATIONS,
    "headrace.monitor.v1.MonitorService": _MONITOR,
    "headrace.monitor.v1.QualityService": _QUALITY,
    "headrace.monitor.v1.AlertService": _ALERTS,
    "headrace.monitor.v1.DriftService": _DRIFT,
    "headrace.monitor.v1.ProfileService": _PROFILES,
    "headrace.monitor.v1.PeerService": _PEERS,
    "grpc.health.v1.Health": {
        "Check": MethodRule(OPEN),
        "List": MethodRule(OPEN),
        "Watch": MethodRule(OPEN),
    },
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": MethodRule(KNOWN)},
    "grpc.reflection.v1.ServerReflection": {"ServerReflectionInfo": MethodRule(KNOWN)},
}

METHODS: Mapping[str, MethodRule] = {
    f"/{service}/{method}": rule
    for service, methods in _SERVICES.items()
    for method, rule in methods.items()
}
"""By the path that gRPC calls a method by."""
