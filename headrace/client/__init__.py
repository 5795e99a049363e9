"""The clients of the suite, and what they hand out.

Each name is loaded when it is asked for: settings alone, which `headrace up` needs, must not cost gRPC and
protobuf, and who never sees a tensor must not load numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.artifacts.signatures import SigningKey
    from headrace.client.access_resources import (
        ApiKey,
        Binding,
        CallerInfo,
        CallLimits,
        Grant,
        NewApiKey,
        Role,
        Rule,
    )
    from headrace.client.alert_resources import (
        Alert,
        AlertRules,
        ObjectiveStatus,
        RuleChange,
        Silence,
    )
    from headrace.client.annotation_resources import (
        Attachment,
        FoundVersion,
        Lineage,
        Metric,
        VersionAnnotations,
    )
    from headrace.client.artifact import Progress
    from headrace.client.async_client import AsyncClient
    from headrace.client.binding import Inputs
    from headrace.client.drift_resources import (
        Distributions,
        Drift,
        DriftEffects,
        DriftExample,
        DriftFinding,
        FieldDrift,
        SliceCause,
        VersionDrift,
    )
    from headrace.client.generation_options import GenerationOptions
    from headrace.client.inference import IndexEntry
    from headrace.client.input_errors import InputTypeError
    from headrace.client.profile_resources import (
        BinnedProfiles,
        DataProfiles,
        ProfiledAspect,
        ProfiledRows,
        ProfiledStep,
    )
    from headrace.client.quality_resources import (
        ConfusionCount,
        Label,
        LabelCounts,
        QualityAnswer,
        QualityFigure,
        VersionQuality,
    )
    from headrace.client.reference_resources import ReferenceField, VersionReference
    from headrace.client.resources import (
        Alias,
        Change,
        ChangedResource,
        Gap,
        Latency,
        MeasureValue,
        Model,
        PartStatistics,
        ReplicaStatistics,
        Route,
        Statistics,
        StoredRecord,
        Version,
        VersionStatistics,
    )
    from headrace.client.results import InferResult
    from headrace.client.settings import ClientSettings, read_client_settings
    from headrace.client.sync_client import Client
    from headrace.client.tensors import ModelMetadata, TensorMetadata
    from headrace.client.text_results import (
        Embeddings,
        GeneratedChoice,
        Generation,
        GenerationPart,
        RankedDocument,
        Ranking,
        Scores,
        Tokens,
        TokenScore,
        ToolCall,
        Usage,
    )

_MODULES = {
    "access_resources": (
        "ApiKey",
        "Binding",
        "CallLimits",
        "CallerInfo",
        "Grant",
        "NewApiKey",
        "Role",
        "Rule",
    ),
    "alert_resources": ("Alert", "AlertRules", "ObjectiveStatus", "RuleChange", "Silence"),
    "annotation_resources": (
        "Attachment",
        "FoundVersion",
        "Lineage",
        "Metric",
        "VersionAnnotations",
    ),
    "artifact": ("Progress",),
    "async_client": ("AsyncClient",),
    "binding": ("Inputs",),
    "drift_resources": (
        "Distributions",
        "Drift",
        "DriftEffects",
        "DriftExample",
        "DriftFinding",
        "FieldDrift",
        "SliceCause",
        "VersionDrift",
    ),
    "profile_resources": (
        "BinnedProfiles",
        "DataProfiles",
        "ProfiledAspect",
        "ProfiledRows",
        "ProfiledStep",
    ),
    "quality_resources": (
        "ConfusionCount",
        "Label",
        "LabelCounts",
        "QualityAnswer",
        "QualityFigure",
        "VersionQuality",
    ),
    "generation_options": ("GenerationOptions",),
    "inference": ("IndexEntry",),
    "input_errors": ("InputTypeError",),
    "reference_resources": ("ReferenceField", "VersionReference"),
    "resources": (
        "Alias",
        "Change",
        "ChangedResource",
        "Gap",
        "Latency",
        "MeasureValue",
        "Model",
        "PartStatistics",
        "ReplicaStatistics",
        "Route",
        "Statistics",
        "StoredRecord",
        "Version",
        "VersionStatistics",
    ),
    "push": ("SigningKey",),
    "results": ("InferResult",),
    "settings": ("ClientSettings", "read_client_settings"),
    "sync_client": ("Client",),
    "tensors": ("ModelMetadata", "TensorMetadata"),
    "text_results": (
        "Embeddings",
        "GeneratedChoice",
        "Generation",
        "GenerationPart",
        "RankedDocument",
        "Ranking",
        "Scores",
        "TokenScore",
        "Tokens",
        "ToolCall",
        "Usage",
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Alert",
    "AlertRules",
    "Alias",
    "ApiKey",
    "AsyncClient",
    "Attachment",
    "Binding",
    "BinnedProfiles",
    "CallLimits",
    "CallerInfo",
    "Change",
    "ChangedResource",
    "Client",
    "ClientSettings",
    "ConfusionCount",
    "DataProfiles",
    "Distributions",
    "Drift",
    "DriftEffects",
    "DriftExample",
    "DriftFinding",
    "Embeddings",
    "FieldDrift",
    "FoundVersion",
    "Gap",
    "GeneratedChoice",
    "Generation",
    "GenerationOptions",
    "GenerationPart",
    "Grant",
    "IndexEntry",
    "InferResult",
    "InputTypeError",
    "Inputs",
    "Label",
    "LabelCounts",
    "Latency",
    "Lineage",
    "MeasureValue",
    "Metric",
    "Model",
    "ModelMetadata",
    "NewApiKey",
    "ObjectiveStatus",
    "PartStatistics",
    "ProfiledAspect",
    "ProfiledRows",
    "ProfiledStep",
    "Progress",
    "QualityAnswer",
    "QualityFigure",
    "RankedDocument",
    "Ranking",
    "ReferenceField",
    "ReplicaStatistics",
    "Role",
    "Route",
    "Rule",
    "RuleChange",
    "Scores",
    "SigningKey",
    "Silence",
    "SliceCause",
    "Statistics",
    "StoredRecord",
    "TensorMetadata",
    "TokenScore",
    "Tokens",
    "ToolCall",
    "Usage",
    "Version",
    "VersionAnnotations",
    "VersionDrift",
    "VersionQuality",
    "VersionReference",
    "VersionStatistics",
    "read_client_settings",
]


if not TYPE_CHECKING:  # else it would have any name

    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value  # asked for once
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
